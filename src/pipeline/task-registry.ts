/** Every task resource: one file each in `tasks/`, and those that come with verbs that are not there yet. */
import type { TaskResource } from './definition/resources.ts';
import type { Task } from './task.ts';
import type { TaskParts } from './task-parts.ts';
import { heldToRights } from './task-rights.ts';
import type { TaskVerb } from './task-verb.ts';
import { approve } from './tasks/approve.ts';
import { bake } from './tasks/bake.ts';
import { check } from './tasks/check.ts';
import { cmd } from './tasks/cmd.ts';
import { deploy } from './tasks/deploy.ts';
import { dockerBuild } from './tasks/docker.build.ts';
import { dockerPush } from './tasks/docker.push.ts';
import { http } from './tasks/http.ts';
import { notify } from './tasks/notify.ts';
import { pipeline } from './tasks/pipeline.ts';
import { promote } from './tasks/promote.ts';
import { rollback } from './tasks/rollback.ts';
import { scan } from './tasks/scan.ts';
import { snapshot } from './tasks/snapshot.ts';

export const TASKS: Readonly<Record<string, TaskVerb>> = {
  approve,
  bake,
  check,
  cmd,
  deploy,
  'docker.build': dockerBuild,
  'docker.push': dockerPush,
  http,
  notify,
  pipeline,
  promote,
  rollback,
  scan,
  snapshot,
};

const NOT_YET: readonly TaskResource[] = [
  { name: 'config.sync', does: 'copies configuration', notYet: 'there are no shared config trees so far' },
  { name: 'migrate', does: 'migrates data', notYet: 'migrations run with a deployment, not by themselves' },
];

/** What a definition may name. */
export const RESOURCES: readonly TaskResource[] = [
  ...Object.values(TASKS).map(({ with: _, ...told }) => told),
  ...NOT_YET,
];

export function makeTasks(parts: TaskParts): ReadonlyMap<string, Task> {
  return new Map(Object.entries(TASKS).map(([name, verb]) => [name, heldToRights(verb.with(parts))]));
}
