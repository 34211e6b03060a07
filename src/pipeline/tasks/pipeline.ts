import { z } from 'zod';
import { folder } from '../argument-shapes.ts';
import type { Json } from '../asl/json.ts';
import { DAY, taskVerb } from '../task-verb.ts';

const shape = z.strictObject({
  directory: folder,
  /** A file in the folder. */
  file: z.string('a file').min(1, 'a file').optional(),
  input: z.custom<Json>().optional(),
  parameters: z.record(z.string(), z.custom<Json>(), 'a map of parameters').default({}),
  wait: z.boolean('true or false').default(true),
});

/** Starts the pipeline of another component → `{execution, status, output?}`; one that fails, fails this with its error. */
export const pipeline = taskVerb({
  name: 'pipeline',
  does: 'starts another pipeline, and waits for its end unless told not to',
  takes: shape,
  // It may wait for people and pauses itself, each with a limit of its own.
  limit: { seconds: 30 * DAY },
  repeat: 'same-key',
  takesPlace: false,
  run: ({ startOther }, wish, call, signal) => startOther(wish, call, signal),
});
