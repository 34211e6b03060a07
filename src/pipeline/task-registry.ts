/** Every task resource: one file each in `tasks/`, and those that come with verbs that are not there yet. */
import type { TaskResource } from './definition/resources.ts';
import type { Task } from './task.ts';
import type { TaskParts } from './task-parts.ts';
import { approve } from './tasks/approve.ts';
import { bake } from './tasks/bake.ts';
import { check } from './tasks/check.ts';
import { cmd } from './tasks/cmd.ts';
import { deploy } from './tasks/deploy.ts';
import { http } from './tasks/http.ts';
import { notify } from './tasks/notify.ts';
import { pipeline } from './tasks/pipeline.ts';
import { promote } from './tasks/promote.ts';
import { rollback } from './tasks/rollback.ts';

export const TASKS: Readonly<Record<string, (parts: TaskParts) => Task>> = {
  approve,
  bake,
  check,
  cmd,
  deploy,
  http,
  notify,
  pipeline,
  promote,
  rollback,
};

const NOT_YET: readonly TaskResource[] = [
  { name: 'scan', does: 'scans an image', notYet: 'scans are not among the tasks of pipelines so far' },
  { name: 'config.sync', does: 'copies configuration', notYet: 'there are no shared config trees so far' },
  { name: 'migrate', does: 'migrates data', notYet: 'migrations run with a deployment, not by themselves' },
  { name: 'docker.build', does: 'builds with Docker', notYet: 'bake builds containers' },
  { name: 'docker.push', does: 'pushes an image', notYet: 'images are pushed with kiln push' },
];

/** What a definition may name. */
export const RESOURCES: readonly TaskResource[] = [
  ...Object.keys(TASKS).map((name) => ({ name, does: name })),
  ...NOT_YET,
];

export function makeTasks(parts: TaskParts): ReadonlyMap<string, Task> {
  return new Map(Object.entries(TASKS).map(([name, make]) => [name, make(parts)]));
}
