import type { Answer } from '../api/contract.ts';
import type { BakeId } from '../domain/ids.ts';
import { checkTags } from '../domain/image-tags.ts';
import { eventText, type StreamParts, streamAnswer } from './event-stream.ts';
import type { Operations } from './operations.ts';
import type { BakeryPart } from './parts.ts';
import { bakeView, present } from './views.ts';

export function serveBakes(operations: Operations, parts: StreamParts): void {
  const { bakery, store, clock } = parts;

  operations.begins('bakes.start', {
    async begin({ body }, { actor }) {
      const { directory, verify, version, tags } = body;
      checkTags(tags ?? {});
      const request = { directory, verify, actor: actor.name, ...present({ version, tags }) };
      const { id } = await bakery.start(request);
      await store.audit.append(
        'bake.start',
        id,
        { directory, verify, ...present({ tags }) },
        { actor: actor.name, atMs: clock.now() },
      );
      return bakeView(bakery.get(id));
    },
    ended: bakeEnded,
    wait: async ({ id }, timeoutMs, signal) => bakeView(await bakery.wait(id, timeoutMs, signal)),
  });

  operations.json('bakes.get', async ({ params, query }, { signal }) => {
    const bake = bakery.get(params.id);
    return bakeView(query.wait === 0 ? bake : await bakery.wait(bake.id, query.wait * 1000, signal));
  });

  operations.stream('bakes.log', async ({ params }, { signal, lastEventId }) => {
    const { id } = bakery.get(params.id);
    return streamAnswer(parts, 'text/event-stream', signal, (ended) =>
      bakeLog(bakery, id, Number(lastEventId ?? 0), ended),
    );
  });

  operations.json('bakes.cancel', async ({ params }, { actor }) => {
    const { id } = bakery.get(params.id);
    bakery.cancel(id);
    await store.audit.append('bake.cancel', id, {}, { actor: actor.name, atMs: clock.now() });
    return bakeView(bakery.get(id));
  });
}

function bakeEnded(bake: Answer<'bakes.get'>): boolean {
  return bake.state !== 'running';
}

/** Each piece of progress is numbered, so that a reader who lost the connection goes on where it was. */
async function* bakeLog(
  bakery: BakeryPart,
  id: BakeId,
  seen: number,
  signal: AbortSignal,
): AsyncIterable<string> {
  let number = 0;
  for await (const progress of bakery.follow(id, signal)) {
    number += 1;
    if (progress.kind === 'end')
      yield eventText({ id: number, event: 'end', data: bakeView(bakery.get(id)) });
    else if (number > seen) yield eventText({ id: number, event: 'progress', data: progress });
  }
}
