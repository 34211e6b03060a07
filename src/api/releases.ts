import { z } from '@hono/zod-openapi';
import {
  atMs,
  componentNameText,
  digestText,
  environmentNameText,
  environmentPath,
  imageId,
  pageOf,
  pageQuery,
  processName,
  releaseNumber,
} from './names.ts';

const routeView = z.object({ host: z.string(), path: z.string(), process: processName }).openapi('Route');

/** Values of the configuration are not answered: any of them may be a secret. Keys and digest tell releases apart. */
const releaseView = z
  .object({
    component: componentNameText,
    environment: environmentNameText,
    number: releaseNumber,
    image: imageId,
    version: z.string(),
    artifact: digestText,
    config: z.object({ digest: digestText, keys: z.array(z.string()), files: z.array(z.string()) }),
    target: z.string(),
    strategy: z.enum(['rolling', 'blue-green', 'canary']),
    processes: z.array(
      z.object({
        name: processName,
        instances: z.object({ min: z.int(), desired: z.int(), max: z.int() }),
      }),
    ),
    routes: z.array(routeView),
    createdAtMs: atMs,
    createdBy: z.string(),
    servedAtMs: atMs.optional().openapi({ description: 'When it was last observed to serve' }),
    bad: z.object({ atMs, why: z.string() }).optional(),
  })
  .openapi('Release');

export const releases = {
  'releases.list': {
    query: z.strictObject({
      component: componentNameText.optional(),
      environment: environmentNameText.optional(),
      ...pageQuery,
    }),
    answer: pageOf(releaseView).openapi('ReleasePage'),
  },
  'releases.get': {
    params: z.strictObject({
      component: componentNameText,
      ...environmentPath,
      number: z.coerce.number<number>().int().min(1).openapi({ type: 'integer' }),
    }),
    answer: releaseView,
  },
};
