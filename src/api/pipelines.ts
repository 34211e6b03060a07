import { z } from '@hono/zod-openapi';
import { atMs, identifier, pageOf, pageQuery, waitQuery } from './names.ts';
import { releaseEvidence } from './release-evidence.ts';

const status = z.enum(['PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED']).openapi({
  description: 'As AWS Step Functions calls them',
});

const summary = {
  id: z.string(),
  pipeline: z.string().openapi({ description: 'Name of its component' }),
  status,
  createdAtMs: atMs,
  createdBy: z.string(),
  endedAtMs: atMs.optional(),
  events: z.int().openapi({ description: 'Stored so far' }),
  group: z.string().optional(),
  after: z.string().optional().openapi({ description: 'The execution that this one is a repetition of' }),
  trigger: z.string().optional().openapi({ description: 'Kind of what started it' }),
  commit: z.string().optional(),
};

export const executionSummary = z
  .object({ ...summary, error: z.string().optional(), cause: z.string().optional() })
  .openapi('ExecutionSummary');

const waits = z
  .object({
    state: z.string(),
    kind: z.enum(['time', 'back-off', 'approval', 'task', 'token', 'transfer']),
    text: z.string(),
    sinceMs: atMs,
    untilMs: atMs.optional(),
    limit: z.string().optional().openapi({ description: 'What happens then, and where to have it later' }),
    resource: z.string().optional(),
    environments: z.array(z.string()).optional().openapi({ description: 'That it is about' }),
    role: z.enum(['deployer', 'admin']).optional(),
    evidence: z.unknown().optional().openapi({ description: 'What the pipeline hands to whoever decides' }),
    releases: z
      .array(releaseEvidence)
      .optional()
      .openapi({ description: 'What is known of each image that an approval asks about' }),
    progress: z.string().optional().openapi({ description: 'What the task has said last' }),
  })
  .openapi('ExecutionWaits');

const executionView = z
  .object({
    ...summary,
    input: z.unknown(),
    output: z.unknown().optional(),
    error: z.string().optional(),
    cause: z.string().optional(),
    waits: z.array(waits).openapi({ description: 'Everything that it waits for now' }),
  })
  .openapi('Execution');

const historyEntry = z
  .object({
    id: z.int(),
    scope: z.string(),
    type: z.string().openapi({ example: 'TaskStateEntered' }),
    atMs,
    state: z.string().optional(),
    input: z.unknown().optional(),
    output: z.unknown().optional(),
    error: z.string().optional(),
    cause: z.string().optional(),
  })
  .openapi('HistoryEntry');

const params = z.strictObject({ id: identifier });
const searched = z.string().min(1).max(200).optional();
const momentQuery = z.coerce.number<number>().int().min(0).optional();

const oneLine = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[^\0\n]+$/);

/** Where a pipeline is that somebody starts. */
const place = {
  directory: oneLine.optional().openapi({
    description:
      'Absolute path of the component’s folder on the server’s machine; with `repository`: its folder in that, otherwise its root',
  }),
  repository: oneLine.optional().openapi({
    description: 'Address of a git repository',
    example: 'https://example.com/team/shop.git',
  }),
  at: oneLine.optional().openapi({
    description:
      'Branch, tag or commit; absent: the branch that the repository’s HEAD names, or the one that the source has',
  }),
  file: oneLine.max(1_000).optional().openapi({
    description: 'In the folder; otherwise pipeline.yaml, or the default pipeline where there is none',
  }),
};

type Place = z.infer<z.ZodObject<typeof place>> & { readonly source?: string | undefined };

/** One way to say where it is, and nothing that does not go with that. */
function checkPlace({ directory, repository, at, source, file }: Place, context: z.RefinementCtx): void {
  const fault = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message });
  if (source !== undefined) {
    for (const [name, given] of Object.entries({ directory, repository, file }))
      if (given !== undefined) fault(name, 'is what the source has');
    return;
  }
  if (repository !== undefined) {
    if (directory?.startsWith('/')) fault('directory', 'expected a path in the repository');
    return;
  }
  if (at !== undefined) fault('at', 'needs a repository');
  if (!directory?.startsWith('/')) fault('directory', 'expected an absolute path');
}

const scalar = z.union([z.string(), z.number(), z.boolean()]);

const parameter = z
  .object({
    name: z.string(),
    type: z.enum(['string', 'number', 'boolean']),
    description: z.string().optional(),
    default: scalar.optional().openapi({ description: 'Absent: it has to be given' }),
    allowed: z.array(scalar).optional().openapi({ description: 'Absent: any of its type' }),
  })
  .openapi('PipelineParameter');

export const pipelines = {
  'pipelines.parameters': {
    query: z
      .strictObject({
        ...place,
        source: identifier.optional().openapi({ description: 'Id of a source, instead of a place' }),
      })
      .superRefine(checkPlace),
    answer: z.object({ component: z.string(), items: z.array(parameter) }).openapi('PipelineParameters'),
  },
  'executions.start': {
    body: z
      .strictObject({
        ...place,
        input: z.record(z.string(), z.unknown()).optional(),
        parameters: z.record(z.string(), z.unknown()).default({}),
        group: z
          .string()
          .min(1)
          .max(200)
          .optional()
          .openapi({ description: 'One of a group runs at a time' }),
        onOpen: z.enum(['queue', 'newest', 'refuse']).default('queue').openapi({
          description: 'When others of the group are open: wait, have them cancelled and wait, or fail',
        }),
        priority: z
          .int()
          .min(-100)
          .max(100)
          .optional()
          .openapi({ description: 'Instead of what the file says; the higher is begun first' }),
      })
      .superRefine(checkPlace)
      .openapi('ExecutionRequest'),
    answer: executionView,
  },
  'executions.runTask': {
    body: z
      .strictObject({
        task: z.string().min(1).max(80).openapi({ description: 'As the resource of a Task names it' }),
        input: z.unknown().openapi({ description: 'Its arguments' }),
        key: z.string().min(1).max(200).openapi({ description: 'It is begun once for a key' }),
      })
      .openapi('TaskRequest'),
    answer: executionView,
  },
  'executions.list': {
    query: z.strictObject({
      ...pageQuery,
      pipeline: z.string().min(1).max(200).optional(),
      open: z.enum(['true', 'false']).optional(),
      status: z
        .string()
        .transform((text) => text.toUpperCase().split(','))
        .pipe(z.array(status).min(1))
        .optional()
        .openapi({ type: 'string', description: 'One, or several with commas between' }),
      trigger: searched,
      commit: searched.openapi({ description: 'How it begins' }),
      actor: searched,
      text: searched.openapi({
        description: 'In its id, pipeline, actor, trigger, commit, parameters, error or cause',
      }),
      from: momentQuery.openapi({ description: 'Created then or later, in milliseconds since 1970' }),
      before: momentQuery.openapi({ description: 'Created before, in milliseconds since 1970' }),
    }),
    answer: pageOf(executionSummary),
  },
  'executions.get': { params, query: z.strictObject(waitQuery), answer: executionView },
  'executions.history': { params, answer: z.object({ items: z.array(historyEntry) }) },
  'executions.cancel': { params, answer: executionView },
  'executions.retry': {
    params,
    body: z.strictObject({ from: z.enum(['failure', 'start']).default('failure') }).openapi('RetryRequest'),
    answer: executionView,
  },
  'executions.decide': {
    params,
    body: z
      .strictObject({
        approve: z.boolean(),
        why: z.string().max(1_000).default(''),
        state: z
          .string()
          .min(1)
          .max(200)
          .optional()
          .openapi({ description: 'Absent: every approval that is open' }),
      })
      .openapi('Decision'),
    answer: executionView,
  },
};
