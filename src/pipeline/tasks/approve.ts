import { z } from 'zod';
import type { Json } from '../asl/json.ts';
import { type Task, TaskFailed } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z.strictObject({
  /** What is asked. */
  message: z.string().min(1).optional(),
  /** Whoever answers must be allowed to change it. */
  environment: z.string().optional(),
  role: z.enum(['deployer', 'admin']).default('deployer'),
  /** Seconds for which a person is waited for, from when the state was entered. */
  deadlineSeconds: z
    .number()
    .positive()
    .max(366 * 24 * 3_600)
    .default(7 * 24 * 3_600),
  /** What holds when nobody has answered by then. */
  default: z.enum(['approve', 'reject']).default('reject'),
  /** Shown to whoever decides. */
  evidence: z.custom<Json>().optional(),
});

export type Approval = z.output<typeof shape>;

/** Undefined: it is not what an approval asks for. */
export function approvalOf(given: Json): Approval | undefined {
  return shape.safeParse(given ?? {}).data;
}

export const REJECTED = 'Kiln.Rejected';

/** Waits for a person, whose answer comes as a signal; this only keeps the deadline. */
export function approve({ clock }: TaskParts): Task {
  return {
    name: 'approve',
    does: 'waits until a person with the right role approves',
    repeat: 'same-key',
    takesPlace: false,
    async run(call, signal) {
      const { deadlineSeconds, default: byDefault } = argumentsOf(shape, call);
      const dueAtMs = call.sinceMs + deadlineSeconds * 1_000;
      // In steps, because timers of Node end after 24 days.
      for (let leftMs = dueAtMs - clock.now(); leftMs > 0; leftMs = dueAtMs - clock.now()) {
        await clock.sleep(Math.min(leftMs, 24 * 3_600_000), signal);
      }
      if (byDefault === 'approve') return { approved: true, by: 'nobody', why: 'the deadline passed' };
      throw new TaskFailed(REJECTED, `Nobody approved within ${deadlineSeconds} s.`);
    },
  };
}
