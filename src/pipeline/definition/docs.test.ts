/** What docs/pipeline.md shows is a pipeline. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { run } from '../asl/run.ts';
import { limitWords } from '../asl/task-limit.ts';
import { RESOURCES } from '../task-registry.ts';
import { parameterValues } from './parameters.ts';
import { readPipeline } from './pipeline-file.ts';
import { verbLimits } from './verb-limits.ts';

const text = readFileSync(path.resolve(import.meta.dirname, '../../../docs/pipeline.md'), 'utf8');

it('the example of docs/pipeline.md is valid and goes as far as it is told', async () => {
  const [, yaml = ''] = /```yaml\n(.*?)```/s.exec(text) ?? [];
  const { machine, parameters } = await readPipeline(yaml, 'pipeline.yaml');
  const input = { trigger: { source: { location: 'here' } }, commit: { version: '1.2.0' } };
  const sequence = async (given: Record<string, string>) => {
    const values = parameterValues(parameters, given);
    const mocks = () => ({ output: { id: 'image' } });
    return (await run(machine, { ...input, parameters: values }, { mocks })).stateSequence;
  };
  expect(await sequence({})).toEqual(['Build', 'Bake', 'Stage', 'How far', 'Done']);
  expect(await sequence({ level: 'live' })).toEqual(['Build', 'Bake', 'Stage', 'How far', 'Live']);
});

it('docs/pipeline.md says the limit of every task', () => {
  const limitOf = verbLimits(RESOURCES);
  const [, table = ''] = /## How long things may take\n(.*?)\n## /s.exec(text) ?? [];
  const told = [...table.matchAll(/^\| `([\w.]+)` \| ([^|]+) \|/gm)].map(([, name, limit]) => [name, limit]);
  const resources = new Map([
    ...RESOURCES.filter(({ limit }) => limit !== undefined).map(({ name }): [string, string] => [name, name]),
    ['token', 'cmd.waitForTaskToken'],
    ['items', 'file.read'],
  ]);
  const declared = [...resources].map(([name, resource]) => {
    const limit = limitOf(resource);
    return [name, limit && limitWords(limit)];
  });
  expect(told).toEqual(declared);
});
