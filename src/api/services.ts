import { z } from '@hono/zod-openapi';
import { deploymentView } from './deployments.ts';
import {
  atMs,
  componentNameText,
  environmentNameText,
  environmentPath,
  instanceId,
  releaseNumber,
} from './names.ts';

const instanceView = z
  .object({
    id: z.string(),
    phase: z.enum(['starting', 'running', 'stopping', 'exited']),
    ready: z.boolean().openapi({ description: 'It runs and the router sends it requests' }),
    router: z
      .enum(['unknown', 'up', 'down', 'absent'])
      .openapi({ description: 'Its health as the router sees it' }),
    inFlight: z.int().openapi({ description: 'Requests that have not ended' }),
    endpoint: z.object({ host: z.string(), port: z.int() }).optional(),
    startedAtMs: atMs,
  })
  .openapi('Instance');

const groupHealth = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('steady') }),
    z.object({ kind: z.literal('backing-off'), untilMs: atMs, why: z.string() }),
    z.object({ kind: z.literal('bad'), why: z.string() }),
  ])
  .openapi('GroupHealth');

const groupView = z
  .object({
    name: z.string().openapi({ example: 'storefront-web-live-uk-v012' }),
    process: z.string(),
    release: z.int(),
    desired: z.int(),
    weight: z.number().openapi({ description: 'Share of the traffic of its process' }),
    keepWarmUntilMs: atMs
      .optional()
      .openapi({ description: 'It no longer serves and is kept for a rollback' }),
    health: groupHealth,
    instances: z.array(instanceView),
  })
  .openapi('ServerGroup');

const serviceView = z
  .object({
    component: componentNameText,
    environment: environmentNameText,
    verdict: z.enum(['serving', 'degraded', 'down', 'stopped', 'new']).openapi({
      description:
        '`degraded`: fewer instances than wanted take traffic; `down`: none does; `new`: nothing was deployed yet',
    }),
    serving: z
      .object({ release: releaseNumber, version: z.string(), image: z.string(), bad: z.string().optional() })
      .optional(),
    deployment: deploymentView.optional().openapi({ description: 'The one under way' }),
    hosts: z.array(z.string()),
    urls: z.array(z.string()).openapi({ description: 'Where to open it' }),
    groups: z.array(groupView),
  })
  .openapi('Service');

const path = z.strictObject({ component: componentNameText, ...environmentPath });

const logLine = z.object({ instance: instanceId, text: z.string() }).openapi('LogLine');

export const services = {
  'services.list': {
    query: z.strictObject({ component: componentNameText.optional() }),
    answer: z.object({ items: z.array(serviceView) }).openapi('Services'),
  },
  'services.get': { params: path, answer: serviceView },
  'services.stop': { params: path, answer: serviceView },
  'services.logs': {
    params: path,
    query: z.strictObject({
      tail: z.coerce.number<number>().int().min(0).max(10_000).default(100).openapi({ type: 'integer' }),
      follow: z.enum(['true', 'false']).default('false'),
    }),
    answer: logLine,
  },
};
