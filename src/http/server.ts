import { goneSinceMs, type KnownServer } from '../domain/known-server.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';

export function serveServer(
  operations: Operations,
  { server, servers, store, router, clock }: HttpParts,
): void {
  operations.json('server.get', async (_input, { signal }) => {
    const { version, pid, startedAtMs, stateDirectory } = server;
    const [revision, routerStatus, targets, known] = await Promise.all([
      store.events.revision(),
      router.status(signal),
      server.targets(signal),
      servers.list(),
    ]);
    return {
      id: servers.id,
      version,
      pid,
      startedAtMs,
      stateDirectory,
      store: store.engine,
      revision,
      router: routerStatus,
      targets,
      servers: known.map((one) => knownServerView(one, clock.now())),
    };
  });

  operations.json('server.down', async ({ body }, { actor }) => {
    const change = { actor: actor.name, atMs: clock.now() };
    await store.audit.append('server.down', 'server', { instances: body.instances }, change);
    const services = await server.down({ instances: body.instances, actor: actor.name });
    return { stopping: true, services };
  });
}

function knownServerView(known: KnownServer, nowMs: number) {
  const { stoppedAtMs: _, ...server } = known;
  const gone = goneSinceMs(known, nowMs);
  return { ...server, ...present({ goneSinceMs: gone }) };
}
