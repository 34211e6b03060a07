/** The task resources that a pipeline may name. */
import type { z } from 'zod';
import type { TaskLimit } from '../asl/task-limit.ts';

export interface TaskResource {
  readonly name: string;
  readonly does: string;
  /** Why it cannot be used yet; undefined when it can. */
  readonly notYet?: string;
  /** The shape of its arguments; absent: any are taken. */
  readonly takes?: z.ZodType;
  /** For states that name no time-out. */
  readonly limit?: VerbLimit;
}

export type VerbLimit = Readonly<Omit<TaskLimit, 'remedy'>>;

/** Endings that Amazon States Language gives to a resource: they say how the task ends, not what it does. */
const ENDING = /\.(sync(:\d+)?|waitForTaskToken)$/;

/** Names by which Microtica files call the same task. */
const ALIASES: Readonly<Record<string, string>> = {
  'microtica.actions.cmd': 'cmd',
  'microtica.actions.docker.build': 'docker.build',
  'microtica.actions.docker.push': 'docker.push',
};

export function resourceName(written: string): string {
  const bare = written.replace(ENDING, '');
  return Object.hasOwn(ALIASES, bare) ? (ALIASES[bare] ?? bare) : bare;
}
