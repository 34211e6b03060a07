/** Environments that pipelines do not deploy to for now. */
import { environmentName } from '../domain/ids.ts';
import type { Caller, Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';

export function servePauses(operations: Operations, { store, clock }: HttpParts): void {
  const changeOf = ({ actor, attempt }: Caller) => ({
    actor: actor.name,
    atMs: clock.now(),
    ...present({ attempt }),
  });
  operations.json('pauses.list', async () => ({ items: [...(await store.pauses.list())] }));
  operations.json('pauses.pause', ({ params: { level, region }, body }, caller) =>
    store.pauses.pause(environmentName(`${level}/${region}`), body.why, changeOf(caller)),
  );
  operations.json('pauses.resume', async ({ params: { level, region } }, caller) => ({
    resumed: await store.pauses.resume(environmentName(`${level}/${region}`), changeOf(caller)),
  }));
}
