import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';

export function serveServer(operations: Operations, { server, store, router, clock }: HttpParts): void {
  operations.json('server.get', async (_input, { signal }) => {
    const { version, pid, startedAtMs, stateDirectory } = server;
    const [revision, routerStatus, targets] = await Promise.all([
      store.events.revision(),
      router.status(signal),
      server.targets(signal),
    ]);
    return {
      version,
      pid,
      startedAtMs,
      stateDirectory,
      store: store.engine,
      revision,
      router: routerStatus,
      targets,
    };
  });

  operations.json('server.down', async ({ body }, { actor }) => {
    const change = { actor: actor.name, atMs: clock.now() };
    await store.audit.append('server.down', 'server', { instances: body.instances }, change);
    const services = await server.down({ instances: body.instances, actor: actor.name });
    return { stopping: true, services };
  });
}
