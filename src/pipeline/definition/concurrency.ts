/** What a `pipeline.yaml` says under `Concurrency` and `Priority`: which executions wait for others. */
import { z } from 'zod';

export const concurrencySchema = z.strictObject(
  {
    /** One of a group runs at a time, whatever pipelines name it. */
    group: z.string('a name').min(1).max(200),
    /** When others of it are open: wait for them, have them cancelled, or fail. */
    onOpen: z.enum(['queue', 'newest', 'refuse'], 'queue, newest or refuse').default('queue'),
  },
  'a map with group',
);

/** The higher is begun first, and gets a place for its tasks first. */
export const prioritySchema = z.int('a whole number').min(-100).max(100);
