/** What docs/pipeline.md shows is a pipeline. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { run } from '../asl/run.ts';
import { parameterValues } from './parameters.ts';
import { readPipeline } from './pipeline-file.ts';

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
