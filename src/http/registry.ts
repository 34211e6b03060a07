import type { Answer } from '../api/contract.ts';
import { resolveImage } from '../catalog/resolve-image.ts';
import type { Transfer } from '../registry/transfers.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { failureView, present } from './views.ts';

type TransferView = Answer<'transfers.get'>;

export function serveRegistry(operations: Operations, { transfers, store, clock }: HttpParts): void {
  const ended = ({ state }: TransferView): boolean => state !== 'running';
  const wait = async ({ id }: TransferView, timeoutMs: number, signal: AbortSignal): Promise<TransferView> =>
    transferView(await transfers.wait(id, timeoutMs, signal));

  operations.begins('transfers.push', {
    async begin({ params, body }, { actor }) {
      const image = await resolveImage(store, params.reference);
      const transfer = transfers.push(image, body.to, actor.name);
      const change = { actor: actor.name, atMs: clock.now() };
      await store.audit.append('image.push', image.id, { to: body.to }, change);
      return transferView(transfer);
    },
    ended,
    wait,
  });

  operations.begins('transfers.pull', {
    async begin({ body }, { actor }) {
      const transfer = transfers.pull(body.from, { actor: actor.name });
      const change = { actor: actor.name, atMs: clock.now() };
      await store.audit.append('image.pull', body.from, {}, change);
      return transferView(transfer);
    },
    ended,
    wait,
  });

  operations.json('transfers.get', async ({ params, query }, { signal }) =>
    transferView(await transfers.wait(params.id, query.wait * 1000, signal)),
  );

  operations.json('transfers.cancel', async ({ params }) => transferView(transfers.cancel(params.id)));
}

function transferView(transfer: Transfer): TransferView {
  const { reference: asked, outcome, failure, ...rest } = transfer;
  const image = outcome && {
    id: outcome.image.id,
    component: outcome.image.component,
    version: outcome.image.version,
  };
  return {
    ...rest,
    asked,
    state: stateOf(transfer),
    ...present({ image, reference: outcome?.reference }),
    ...(failure === undefined ? {} : { failure: failureView(failure) }),
  };
}

function stateOf({ outcome, failure }: Transfer): TransferView['state'] {
  if (outcome !== undefined) return outcome.kind;
  if (failure === undefined) return 'running';
  return failure.code === 'aborted' ? 'cancelled' : 'failed';
}
