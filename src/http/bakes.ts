import type { Answer } from '../api/contract.ts';
import { KilnError } from '../domain/errors.ts';
import { eventText, type StreamParts, streamAnswer } from './event-stream.ts';
import type { Operations } from './operations.ts';
import type { Bake, HttpParts } from './parts.ts';
import { present } from './views.ts';

export function serveBakes(operations: Operations, parts: StreamParts): void {
  const { bakery, store, clock } = parts;

  operations.begins('bakes.start', {
    async begin({ body }, { actor }) {
      const { directory, verify } = body;
      const bake = await bakery.start({
        ...present({ version: body.version }),
        directory,
        verify,
        actor: actor.name,
      });
      if (bake.state !== 'unchanged') {
        const change = { actor: actor.name, atMs: clock.now() };
        await store.audit.append('bake.start', bake.id, { directory, verify }, change);
      }
      return bake;
    },
    ended: bakeEnded,
    wait: (bake, timeoutMs, signal) => bakery.wait(bake.id, timeoutMs, signal),
  });

  operations.json('bakes.get', async ({ params, query }, { signal }) => {
    const bake = await required(parts, params.id);
    return query.wait === 0 || bakeEnded(bake) ? bake : bakery.wait(params.id, query.wait * 1000, signal);
  });

  operations.stream('bakes.log', async ({ params }, { signal, lastEventId }) => {
    await required(parts, params.id);
    return streamAnswer(parts, 'text/event-stream', signal, (ended) =>
      bakeLog(parts, params.id, Number(lastEventId ?? 0), ended),
    );
  });

  operations.json('bakes.cancel', async ({ params }, { actor }) => {
    await required(parts, params.id);
    await bakery.cancel(params.id);
    await store.audit.append('bake.cancel', params.id, {}, { actor: actor.name, atMs: clock.now() });
    return required(parts, params.id);
  });
}

export function bakeEnded(bake: Answer<'bakes.get'>): boolean {
  return bake.state !== 'queued' && bake.state !== 'running';
}

/** Each piece of progress is numbered, so that a reader who lost the connection goes on where it was. */
async function* bakeLog(
  parts: HttpParts,
  id: string,
  seen: number,
  signal: AbortSignal,
): AsyncIterable<string> {
  let number = 0;
  for await (const progress of parts.bakery.follow(id, signal)) {
    number += 1;
    if (number > seen) yield eventText({ id: number, event: 'progress', data: progress });
  }
  yield eventText({ id: number + 1, event: 'end', data: await required(parts, id) });
}

async function required(parts: HttpParts, id: string): Promise<Bake> {
  const bake = await parts.bakery.get(id);
  if (bake !== undefined) return bake;
  throw new KilnError('not-found', `There is no bake ${id}.`, {
    next: 'Bakes are known until the server restarts; what they made is in `kiln images`.',
  });
}
