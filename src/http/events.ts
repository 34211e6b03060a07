/**
 * Committed changes as server-sent events. An event's id is its revision, so whoever resumes after the last id
 * it saw misses nothing and sees nothing twice, on whichever server. Ids also come without events (at the
 * beginning, and with each heartbeat), so that a filter that fits little does not mean reading all again.
 */
import type { KilnEvent } from '../domain/audit.ts';
import { KilnError } from '../domain/errors.ts';
import type { Revision } from '../domain/ids.ts';
import { eventText, type StreamParts, streamAnswer } from './event-stream.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';

const BATCH = 500;

interface Filter {
  readonly kind?: string | undefined;
  readonly subject?: string | undefined;
}

export function serveEvents(operations: Operations, parts: StreamParts): void {
  operations.stream('events.follow', async ({ query }, { signal, lastEventId }) => {
    const newest = await parts.store.events.revision();
    const from = lastEventId === undefined ? (query.after ?? newest) : revisionOf(lastEventId);
    if (from > newest) {
      throw new KilnError('input.invalid', `Revision ${from} does not exist yet: the newest is ${newest}.`, {
        next: 'This server has another state than the one you followed: begin without Last-Event-ID.',
        details: { newest },
      });
    }
    // Before the stream begins: a position that is too old is an answer of its own.
    await parts.store.events.after(from, 1);
    const position = { seen: from };
    const mark = (): string => `id: ${position.seen}\n\n`;
    return streamAnswer(
      parts,
      'text/event-stream',
      signal,
      async function* (ended) {
        yield `retry: 1000\n${mark()}`;
        for await (const event of eventsAfter(parts.store, position, ended))
          if (matches(event, query)) yield eventText({ id: event.revision, event: event.kind, data: event });
      },
      mark,
    );
  });
}

/** `position.seen` is what was read, fitting or not. */
async function* eventsAfter(
  store: HttpParts['store'],
  position: { seen: Revision },
  signal: AbortSignal,
): AsyncIterable<KilnEvent> {
  while (!signal.aborted) {
    const batch = await store.events.after(position.seen, BATCH);
    for (const event of batch) {
      yield event;
      position.seen = event.revision;
    }
    if (batch.length === 0) await store.events.waitAfter(position.seen, signal);
  }
}

function matches(event: KilnEvent, { kind, subject }: Filter): boolean {
  return (
    (kind === undefined || event.kind.startsWith(kind)) &&
    (subject === undefined || event.subject === subject)
  );
}

function revisionOf(text: string): Revision {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new KilnError('input.invalid', `"${text.slice(0, 40)}" is not the id of an event.`, {
    next: 'Send the id of the last event as it was.',
  });
}
