import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { TaskParts } from './task-parts.ts';
import { makeTasks, TASKS } from './task-registry.ts';

it('the registry of tasks is the folder of tasks', () => {
  const files = readdirSync(path.resolve(import.meta.dirname, 'tasks')).filter(
    (file) => !file.includes('.test.'),
  );
  expect(Object.keys(TASKS).map((name) => `${name}.ts`)).toEqual(files.toSorted());
});

it('what keeps the machine at work takes one of its places, and what only waits takes none', () => {
  const tasks = [...makeTasks({} as TaskParts).values()];
  const placed = (given: object) =>
    tasks
      .filter(({ takesPlace }) =>
        typeof takesPlace === 'boolean' ? takesPlace : takesPlace({ commands: ['true'], ...given }),
      )
      .map(({ name }) => name);
  expect(placed({})).toEqual(['bake', 'check', 'cmd', 'docker.build', 'docker.push', 'scan']);
  expect(placed({ runsOn: 'linux' })).not.toContain('cmd');
});
