import { z } from '@hono/zod-openapi';
import { atMs, identifier } from './names.ts';
import { executionSummary } from './pipelines.ts';

const overview = {
  pipeline: z.string(),
  standing: z.enum(['unknown', 'healthy', 'failing', 'red']).openapi({
    description: '`red`: it failed three times in a row; what was cancelled does not count',
  }),
  failuresInRow: z.int(),
  durations: z
    .object({
      medianMs: z.number(),
      p90Ms: z.number(),
      trend: z.number().optional().openapi({
        description: 'The newer half of the executions against the older one: 1.2 takes a fifth longer',
      }),
    })
    .optional()
    .openapi({ description: 'Of whole executions that succeeded' }),
  recent: z.array(executionSummary).openapi({ description: 'Newest first' }),
};

const flakyStep = z
  .object({
    state: z.string(),
    runs: z.int(),
    recovered: z.int().openapi({ description: 'How often it failed and then succeeded with the same input' }),
    lastAtMs: atMs,
    execution: z.string(),
  })
  .openapi('FlakyStep');

const dora = z
  .object({
    days: z.number(),
    deployments: z.int(),
    deploymentsPerDay: z.number(),
    leadTimeMs: z.number().optional().openapi({ description: 'From commit to live, the median' }),
    changes: z.int(),
    failedChanges: z.int(),
    changeFailureRate: z.number().optional(),
    restoreMs: z.number().optional().openapi({ description: 'The median' }),
  })
  .openapi('Dora');

const graph = z
  .object({
    svg: z.string().openapi({ description: 'Each state is a group with its name as `data-state`; no style' }),
    states: z.array(
      z.object({
        state: z.string(),
        status: z.enum(['running', 'succeeded', 'caught', 'failed', 'stopped']),
      }),
    ),
  })
  .openapi('ExecutionGraph');

export const pipelineHealth = {
  'executions.graph': { params: z.strictObject({ id: identifier }), answer: graph },
  'pipelines.list': {
    answer: z.object({ items: z.array(z.object(overview).openapi('PipelineOverview')) }),
  },
  'pipelines.get': {
    params: z.strictObject({ pipeline: z.string().min(1).max(200) }),
    query: z.strictObject({
      days: z.coerce.number<number>().int().min(1).max(366).default(30).openapi({
        type: 'integer',
        description: 'Of the four figures of DORA',
      }),
    }),
    answer: z.object({ ...overview, flakySteps: z.array(flakyStep), dora }).openapi('PipelineReport'),
  },
};
