/** What a `pipeline.yaml` says under `Triggers` and `Checkout`. */
import { z } from 'zod';
import { IMAGE_REFERENCE } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import type { CheckoutOptions, Triggers } from '../../domain/trigger.ts';
import { parseCron } from '../triggers/cron.ts';
import { PATTERN } from '../triggers/patterns.ts';

const patterns = z
  .array(z.string('a pattern').regex(PATTERN, 'a pattern, such as release/*'), 'a list of patterns')
  .max(100, 'at most 100 patterns');
const name = z.string('a name').regex(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/, 'a name');

const channel = z
  .string('component@channel')
  .regex(IMAGE_REFERENCE, 'component@channel')
  .transform((text) => {
    const [component = '', named = ''] = text.split('@');
    return { component, channel: named };
  });

const schedule = z.strictObject(
  {
    cron: z.string('five fields, as in crontab').superRefine((text, context) => {
      try {
        parseCron(text);
      } catch (error) {
        if (!(error instanceof KilnError)) throw error;
        context.addIssue({ code: 'custom', message: error.message });
      }
    }),
    timeZone: z
      .string('a time zone, such as Europe/London')
      .refine(isTimeZone, 'a time zone, such as Europe/London')
      .default('UTC'),
    missed: z.enum(['once', 'skip'], 'once or skip').default('once'),
  },
  'a map with cron',
);

const status = z.enum(['SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED'], 'how an execution ends');

export const triggersSchema = z.strictObject(
  {
    push: z
      .strictObject(
        { branches: patterns.optional(), tags: patterns.optional(), paths: patterns.optional() },
        'a map',
      )
      .optional(),
    pullRequest: z
      .strictObject(
        {
          branches: patterns.optional(),
          paths: patterns.optional(),
          forks: z.boolean('true or false').default(false),
        },
        'a map',
      )
      .optional(),
    schedule: z.array(schedule, 'a list of schedules').max(20, 'at most 20 schedules').default([]),
    channel: z.array(channel, 'a list of channels').max(100, 'at most 100 channels').default([]),
    base: z.boolean('true or false').default(false),
    pipeline: z
      .array(
        z.strictObject(
          { name, status: z.array(status, 'a list').min(1, 'at least one').default(['SUCCEEDED']) },
          'a map with name',
        ),
        'a list of pipelines',
      )
      .max(100, 'at most 100 pipelines')
      .default([]),
    onOpen: z.enum(['queue', 'newest'], 'queue or newest').default('queue'),
  },
  'a map',
);

export const checkoutSchema = z.strictObject(
  {
    depth: z.int('a number of commits').min(1, 'at least 1').max(1_000_000, 'at most a million').optional(),
    submodules: z.boolean('true or false').default(true),
    lfs: z.boolean('true or false').default(true),
  },
  'a map',
);

type DeclaredTriggers = z.infer<typeof triggersSchema>;

/** With what is not said: a push to the source's branch, in its folder. A file without `Triggers` says no more than that. */
export function triggersOf(
  declared: DeclaredTriggers | undefined,
  { branch, directory }: { readonly branch: string; readonly directory: string },
): Triggers {
  const { push, pullRequest, pipeline, ...rest } = declared ?? triggersSchema.parse({ push: {} });
  const own = directory === '' ? {} : { paths: [`${directory}/**`] };
  const given = (paths: readonly string[] | undefined) => (paths === undefined ? own : { paths });
  return {
    ...rest,
    pipeline: pipeline.map((one) => ({ pipeline: one.name, status: one.status })),
    ...(push && {
      push: {
        branches: push.branches ?? (push.tags === undefined ? [branch] : []),
        tags: push.tags ?? [],
        ...given(push.paths),
      },
    }),
    ...(pullRequest && {
      pullRequest: {
        branches: pullRequest.branches ?? [branch],
        forks: pullRequest.forks,
        ...given(pullRequest.paths),
      },
    }),
  };
}

export function checkoutOf({ depth, ...rest }: z.infer<typeof checkoutSchema>): CheckoutOptions {
  return { ...rest, ...(depth !== undefined && { depth }) };
}

function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}
