/** A verb of Kiln as a task: what is known of it without a server, and what carries it out on one. */
import type { z } from 'zod';
import type { Json } from './asl/json.ts';
import type { TaskResource, VerbLimit } from './definition/resources.ts';
import type { Task, TaskCall } from './task.ts';
import { argumentsOf } from './task-arguments.ts';
import type { TaskParts } from './task-parts.ts';

interface Declared<Shape extends z.ZodType> extends Omit<Task, 'run' | 'takes' | 'limit'> {
  /** The same when a file is read and when the task is asked for. */
  readonly takes: Shape;
  readonly limit: VerbLimit;
  run(parts: TaskParts, wish: z.output<Shape>, call: TaskCall, signal: AbortSignal): Promise<Json>;
}

export interface TaskVerb extends TaskResource {
  readonly takes: z.ZodType;
  readonly limit: VerbLimit;
  readonly with: (parts: TaskParts) => Task;
}

export function taskVerb<Shape extends z.ZodType>(declared: Declared<Shape>): TaskVerb {
  const { name, does, takes, limit, run } = declared;
  return {
    name,
    does,
    takes,
    limit,
    with: (parts) => ({
      ...declared,
      run: async (call, signal) => run(parts, argumentsOf(takes, call), call, signal),
    }),
  };
}

export const MINUTE = 60;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
