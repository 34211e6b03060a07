import { z } from 'zod';
import type { Json } from '../asl/json.ts';
import type { Task } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z.strictObject({
  directory: z.string().startsWith('/'),
  /** A file in the folder. */
  file: z.string().min(1).optional(),
  input: z.custom<Json>().optional(),
  parameters: z.record(z.string(), z.custom<Json>()).default({}),
  wait: z.boolean().default(true),
});

/** Starts the pipeline of another component → `{execution, status, output?}`; one that fails, fails this with its error. */
export function pipeline({ startOther }: TaskParts): Task {
  return {
    name: 'pipeline',
    does: 'starts another pipeline, and waits for its end unless told not to',
    repeat: 'same-key',
    takesPlace: false,
    run: async (call, signal) => startOther(argumentsOf(shape, call), call, signal),
  };
}
