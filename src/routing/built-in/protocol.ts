/**
 * What the router's control socket speaks: one JSON object a line, each request answered by one line with its id.
 *
 * `hello` and `upgrade` keep their shape in every version, so that a server can always learn which router it
 * found and put its own in its place. All else is only spoken between equal versions.
 */
import { z } from 'zod';
import { ERROR_CODES } from '../../domain/errors.ts';
import type { EndpointObservation, RouterObservation } from '../../domain/routing.ts';
import { generationSchema, serviceKeySchema, serviceTableSchema } from '../table-schema.ts';

export const PROTOCOL_VERSION = 1;
export const CONTROL_SOCKET = 'router.sock';
/** A whole table with thousands of endpoints is far below this. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

export const envelopeSchema = z.object({ id: z.number().int(), version: z.number().int(), op: z.string() });

export const requestSchema = z.discriminatedUnion('op', [
  z.object({ op: z.literal('hello') }),
  z.object({
    op: z.literal('upgrade'),
    nodePath: z.string(),
    entry: z.string(),
    build: z.string(),
    limits: z.record(z.string(), z.number()).optional(),
  }),
  z.object({ op: z.literal('apply'), table: serviceTableSchema }),
  z.object({ op: z.literal('withdraw'), service: serviceKeySchema, generation: generationSchema }),
  z.object({ op: z.literal('observe'), service: serviceKeySchema }),
  z.object({ op: z.literal('services') }),
  z.object({ op: z.literal('stop') }),
]);

export type ControlRequest = z.infer<typeof requestSchema>;

/** Operations that a router of another version understands. */
export const SPOKEN_ACROSS_VERSIONS: ReadonlySet<string> = new Set(['hello', 'upgrade']);

export const replySchema = z.discriminatedUnion('ok', [
  z.object({ id: z.number().int(), ok: z.literal(true), result: z.unknown() }),
  z.object({
    id: z.number().int(),
    ok: z.literal(false),
    error: z.object({
      code: z.enum(ERROR_CODES).catch('internal'),
      message: z.string(),
      next: z.string().optional(),
      retryable: z.boolean(),
    }),
  }),
]);

export const helloSchema = z.object({
  protocol: z.number().int(),
  build: z.string(),
  pid: z.number().int(),
  listen: z.object({ host: z.string(), port: z.number().int() }),
  connections: z.number().int(),
  inFlight: z.number().int(),
  /** Saved tables that could not be read when it started. */
  damaged: z.array(z.string()),
});

export type Hello = z.infer<typeof helloSchema>;

export const servicesSchema = z.array(serviceKeySchema);

const endpointObservation: z.ZodType<EndpointObservation> = z.object({
  instance: z.string().transform((text) => text as EndpointObservation['instance']),
  health: z.enum(['unknown', 'up', 'down']),
  inFlight: z.number().int(),
  draining: z.boolean(),
});

export const observationSchema: z.ZodType<RouterObservation> = z
  .object({
    service: serviceKeySchema,
    generation: generationSchema.optional(),
    weights: z.record(z.string(), z.number()),
    endpoints: z.array(endpointObservation),
  })
  .transform(({ generation, ...rest }) => (generation === undefined ? rest : { ...rest, generation }));

/** What a retiring router gives its successor, beside the listening socket. */
export const handoverSchema = z.object({
  kind: z.literal('tables'),
  tables: z.array(serviceTableSchema),
  withdrawn: z.array(z.object({ service: serviceKeySchema, generation: generationSchema })),
  health: z.array(
    z.object({ service: serviceKeySchema, endpoint: z.string(), health: z.enum(['unknown', 'up', 'down']) }),
  ),
});

export type Handover = z.infer<typeof handoverSchema>;

/** ready → (tables) → prepared → (listener, with the socket) → listening → (take-control) → in-control */
export const successorMessageSchema = z.object({
  kind: z.enum(['ready', 'prepared', 'listening', 'in-control']),
});

export type SuccessorMessage = z.infer<typeof successorMessageSchema>;

export const takeControlSchema = z.object({ kind: z.literal('take-control') });
