import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { TASKS } from './task-registry.ts';

it('the registry of tasks is the folder of tasks', () => {
  const files = readdirSync(path.resolve(import.meta.dirname, 'tasks')).filter(
    (file) => !file.includes('.test.'),
  );
  expect(Object.keys(TASKS).map((name) => `${name}.ts`)).toEqual(files.toSorted());
});
