import { z } from '@hono/zod-openapi';
import {
  atMs,
  componentNameText,
  deploymentId,
  deploymentIdText,
  environmentNameText,
  imageReferenceText,
  pageOf,
  pageQuery,
  releaseNumber,
  waitQuery,
} from './names.ts';

const strategyText = z.enum(['rolling', 'blue-green', 'canary']);

export const deploymentView = z
  .object({
    id: deploymentId,
    component: componentNameText,
    environment: environmentNameText,
    reason: z.enum(['deploy', 'rollback']),
    from: releaseNumber.optional().openapi({ description: 'What served when it began' }),
    to: releaseNumber,
    strategy: strategyText,
    state: z.enum(['queued', 'running', 'deployed', 'failed', 'cancelled']).openapi({
      description: '`deployed` is said only once requests through the router are answered by the new release',
    }),
    createdAtMs: atMs,
    createdBy: z.string(),
    endedAtMs: atMs.optional(),
    failure: z
      .object({
        code: z.string(),
        message: z.string(),
        next: z.string().optional().openapi({ description: 'What to do about it' }),
      })
      .optional(),
  })
  .openapi('Deployment');

const deployOutcomeView = z
  .object({
    changed: z.boolean().openapi({
      description:
        'False: the same image, configuration, settings and routes serve already; nothing was begun',
    }),
    release: releaseNumber,
    version: z.string(),
    deployment: deploymentView.optional().openapi({ description: 'Present when `changed`' }),
  })
  .openapi('DeployOutcome');

/** Which release, said in one of three ways: by number, by image, or neither for the newest that may go there. */
const wish = {
  component: componentNameText,
  environment: environmentNameText,
  image: imageReferenceText.optional(),
  release: z.coerce
    .number<number>()
    .int()
    .min(1)
    .optional()
    .openapi({ type: 'integer', description: 'An existing release, by number' }),
  strategy: strategyText.optional(),
};

const onConflict = z
  .enum(['refuse', 'queue', 'replace'])
  .default('refuse')
  .openapi({ description: 'What to do when a deployment is under way already' });

export const deployments = {
  'deployments.start': {
    body: z.strictObject({ ...wish, onConflict }).openapi('DeployRequest'),
    answer: deployOutcomeView,
  },
  'deployments.rollback': {
    body: z
      .strictObject({
        component: componentNameText,
        environment: environmentNameText,
        to: releaseNumber.optional().openapi({ description: 'Absent: the last release that served before' }),
        onConflict,
      })
      .openapi('RollbackRequest'),
    answer: deploymentView,
  },
  'deployments.list': {
    query: z.strictObject({
      component: componentNameText.optional(),
      environment: environmentNameText.optional(),
      ...pageQuery,
    }),
    answer: pageOf(deploymentView).openapi('DeploymentPage'),
  },
  'deployments.get': {
    params: z.strictObject({ id: deploymentIdText }),
    query: z.strictObject(waitQuery),
    answer: deploymentView,
  },
  'deployments.cancel': {
    params: z.strictObject({ id: deploymentIdText }),
    answer: deploymentView,
  },
};

const planStep = z.object({ kind: z.string(), text: z.string() }).openapi('PlanStep');

const planView = z
  .object({
    component: componentNameText,
    environment: environmentNameText,
    unchanged: z.boolean().openapi({ description: 'True: what was asked for serves already' }),
    from: releaseNumber.optional().openapi({ description: 'What serves now' }),
    to: releaseNumber.openapi({ description: 'The number it has, or would get' }),
    strategy: strategyText,
    steps: z.array(planStep).openapi({ description: 'From the beginning to “deployed”' }),
    afterwards: z.array(planStep).openapi({ description: 'What lets go of the replaced release' }),
    warnings: z.array(z.string()),
  })
  .openapi('Plan');

export const plan = {
  'plan.show': { query: z.strictObject(wish), answer: planView },
};
