/** What the docs of pipelines show is a pipeline, and its tasks take what they are given there. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { RunTask } from '../asl/execution.ts';
import { run } from '../asl/run.ts';
import { limitWords } from '../asl/task-limit.ts';
import type { TaskCall } from '../task.ts';
import type { TaskParts } from '../task-parts.ts';
import { makeTasks, RESOURCES } from '../task-registry.ts';
import { parameterValues } from './parameters.ts';
import { readPipeline } from './pipeline-file.ts';
import { verbLimits } from './verb-limits.ts';

const text = ['pipeline', 'triggers', 'commands']
  .map((name) => readFileSync(path.resolve(import.meta.dirname, `../../../docs/${name}.md`), 'utf8'))
  .join('\n');
const IMAGE = { id: 'image' };
const rights = { role: 'admin', environments: [] } as const;

/** Each does nothing but look at its arguments. */
function idleTasks() {
  const idle = async () => IMAGE;
  const verbs = { bake: idle, deploy: idle, snapshot: idle };
  return makeTasks({ verbs, runCommand: idle, mayDeploy: idle } as unknown as TaskParts);
}

async function take(asked: readonly RunTask[]): Promise<void> {
  const tasks = idleTasks();
  for (const request of asked) {
    const call = { request, arguments: request.arguments, rights, begins: async () => undefined };
    const taken = tasks.get(request.resource)?.run(call as unknown as TaskCall, AbortSignal.timeout(1_000));
    expect(await taken, request.state).toEqual(IMAGE);
  }
}

it('the example of docs/pipeline.md is valid and goes as far as it is told', async () => {
  const [, yaml = ''] = /```yaml\n(.*?)```/s.exec(text) ?? [];
  const { machine, parameters } = await readPipeline(yaml, 'pipeline.yaml');
  const input = {
    component: 'shop',
    trigger: { source: { location: '/src' } },
    commit: { version: '1.2.0' },
  };
  const sequence = async (given: Record<string, string>) => {
    const values = parameterValues(parameters, given);
    const asked: RunTask[] = [];
    const mocks = (task: RunTask) => {
      asked.push(task);
      return { output: IMAGE };
    };
    const { stateSequence } = await run(machine, { ...input, parameters: values }, { mocks });
    await take(asked);
    return stateSequence;
  };
  expect(await sequence({})).toEqual(['Build', 'Bake', 'Stage', 'How far', 'Done']);
  expect(await sequence({ level: 'live' })).toEqual(['Build', 'Bake', 'Stage', 'How far', 'Live']);
});

it('every pipeline of the docs, and every state, is one that Kiln takes', async () => {
  const blocks = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml = '']) => yaml);
  const states = blocks.filter((yaml) => !yaml.includes('StartAt:') && /^ {2}Type: Task$/m.test(yaml));
  const whole = states.map((yaml) => {
    const [name = ''] = /^\w+/.exec(yaml) ?? [];
    const alone = yaml.replace(/^ {2}Next: .*$/m, '  End: true');
    return `StartAt: ${name}\nStates:\n${alone.replaceAll(/^/gm, '  ')}`;
  });
  const pipelines = [...blocks.filter((yaml) => yaml.includes('StartAt:')), ...whole];
  expect(pipelines.length).toBeGreaterThan(3);
  for (const yaml of pipelines) await readPipeline(yaml, 'pipeline.yaml', { resources: RESOURCES });
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
