import { z } from '@hono/zod-openapi';
import { atMs } from './names.ts';

const knownServer = z
  .object({
    id: z.string(),
    url: z.string().openapi({ description: 'Where the other servers reach it' }),
    host: z.string(),
    version: z.string(),
    startedAtMs: atMs,
    seenAtMs: atMs.openapi({ description: 'When it last said that it lives' }),
    goneSinceMs: atMs.optional().openapi({ description: 'Absent: it lives' }),
  })
  .openapi('KnownServer');

const serverView = z
  .object({
    id: z.string(),
    version: z.string(),
    pid: z.int(),
    startedAtMs: atMs,
    stateDirectory: z.string(),
    store: z.enum(['sqlite', 'postgres']),
    revision: z.int(),
    router: z.object({
      driver: z.string(),
      reachable: z.boolean(),
      listen: z.string(),
      detail: z.string(),
    }),
    targets: z.array(
      z.object({ name: z.string(), isolation: z.enum(['sandbox', 'none', 'unknown']), detail: z.string() }),
    ),
    servers: z
      .array(knownServer)
      .openapi({ description: 'That work on the same store, this one among them' }),
  })
  .openapi('Server');

export const server = {
  'server.get': { answer: serverView },
  'server.down': {
    body: z
      .strictObject({
        instances: z
          .boolean()
          .default(true)
          .openapi({ description: 'Stop every instance and the routers as well as the server' }),
      })
      .openapi('DownRequest'),
    answer: z.object({ stopping: z.boolean(), services: z.array(z.string()) }).openapi('Down'),
  },
};
