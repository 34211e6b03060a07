import { z } from 'zod';
import { environment, image } from '../argument-shapes.ts';
import type { Json } from '../asl/json.ts';
import { TaskFailed } from '../task.ts';
import { DAY, HOUR, taskVerb } from '../task-verb.ts';

const WEEK = 7 * DAY;
const LONGEST_SECONDS = 366 * DAY;

/** A release train of every component there is. */
const MOST_IMAGES = 1_000;
const MOST_ENVIRONMENTS = 50;

const shape = z.strictObject({
  /** What is asked. */
  message: z.string('a text').min(1, 'a text').optional(),
  /** One or several; whoever answers must be allowed to change each. */
  environment: z
    .union([environment, z.array(environment).min(1).max(MOST_ENVIRONMENTS)], {
      error: 'an environment, such as stage/uk, or a list of at most fifty',
    })
    .optional(),
  /** What is to be released there, one or several: whoever decides is shown what each changes in each. */
  image: z
    .union([image, z.array(image).max(MOST_IMAGES)], 'an image, or a list of at most a thousand')
    .optional(),
  role: z.enum(['deployer', 'admin'], 'deployer or admin').default('deployer'),
  /** Seconds for which a person is waited for, from when the state was entered. */
  deadlineSeconds: z.number('seconds').positive().max(LONGEST_SECONDS).default(WEEK),
  /** What holds when nobody has answered by then. */
  default: z.enum(['approve', 'reject'], 'approve or reject').default('reject'),
  /** Shown to whoever decides, beside what is known of the image. */
  evidence: z.custom<Json>().optional(),
});

export type Approval = z.output<typeof shape>;

/** Undefined: it is not what an approval asks for. */
export function approvalOf(given: Json): Approval | undefined {
  return shape.safeParse(given ?? {}).data;
}

export const REJECTED = 'Kiln.Rejected';

/** Waits for a person, whose answer comes as a signal; this only keeps the deadline. */
export const approve = taskVerb({
  name: 'approve',
  does: 'waits until a person with the right role approves',
  takes: shape,
  // Its own deadline comes first.
  limit: {
    seconds: WEEK + HOUR,
    argument: { name: 'deadlineSeconds', seconds: WEEK, mostSeconds: LONGEST_SECONDS },
  },
  repeat: 'same-key',
  takesPlace: false,
  async run({ clock }, { deadlineSeconds, default: byDefault }, call, signal) {
    const dueAtMs = call.sinceMs + deadlineSeconds * 1_000;
    // In steps, because timers of Node end after 24 days.
    for (let leftMs = dueAtMs - clock.now(); leftMs > 0; leftMs = dueAtMs - clock.now()) {
      await clock.sleep(Math.min(leftMs, 24 * 3_600_000), signal);
    }
    if (byDefault === 'approve') return { approved: true, by: 'nobody', why: 'the deadline passed' };
    throw new TaskFailed(REJECTED, `Nobody approved within ${deadlineSeconds} s.`);
  },
});
