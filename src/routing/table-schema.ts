/** Checks a routing table that another process sent or a file holds. */
import { z } from 'zod';
import type { HealthSpec } from '../domain/component.ts';
import type { InstanceId, ProcessName, ServerGroupName, ServiceKey } from '../domain/ids.ts';
import type {
  Generation,
  Pool,
  RoutedEndpoint,
  RoutedGroup,
  ServiceTable,
  TableRoute,
} from '../domain/routing.ts';

const NAME = z.string().min(1).max(512);
const MILLISECONDS = z.number().nonnegative().finite();

export const serviceKeySchema = NAME.transform((text) => text as ServiceKey);
const instanceId = NAME.transform((text) => text as InstanceId);
const processName = NAME.transform((text) => text as ProcessName);
const groupName = NAME.transform((text) => text as ServerGroupName);

export const generationSchema: z.ZodType<Generation> = z.object({
  fence: z.number().int().nonnegative(),
  sequence: z.number().int().nonnegative(),
});

const endpoint: z.ZodType<RoutedEndpoint> = z.object({
  instance: instanceId,
  endpoint: z.object({ host: NAME, port: z.number().int().min(1).max(65_535) }),
  draining: z.boolean(),
});

const health: z.ZodType<HealthSpec> = z.object({
  // It goes into request lines and, with HAProxy, into its maps.
  path: z.string().regex(/^\/[\x21-\x7e]*$/),
  intervalMs: MILLISECONDS,
  timeoutMs: MILLISECONDS,
  startupMs: MILLISECONDS,
});

const group: z.ZodType<RoutedGroup> = z
  .object({
    group: groupName,
    weight: z.number().nonnegative().finite(),
    health: health.optional(),
    endpoints: z.array(endpoint),
  })
  .transform(({ health, ...rest }) => (health === undefined ? rest : { ...rest, health }));

const pool: z.ZodType<Pool> = z.object({
  process: processName,
  health,
  groups: z.array(group),
  drainMs: MILLISECONDS,
  holdMs: MILLISECONDS,
});

const route: z.ZodType<TableRoute> = z.object({
  host: z.string().regex(/^[A-Za-z0-9._:[\]-]+$/),
  path: z.string().regex(/^\/[\x21-\x7e]*$/),
  process: processName,
});

export const serviceTableSchema: z.ZodType<ServiceTable> = z.object({
  service: serviceKeySchema,
  generation: generationSchema,
  routes: z.array(route),
  pools: z.array(pool),
});
