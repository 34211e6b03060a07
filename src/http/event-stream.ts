/**
 * Answers that go on: server-sent events and JSON lines. The source is read only when the connection takes more,
 * so a reader that stalls holds one chunk and costs no memory; a reader that goes away ends the source.
 */
import { problemOf } from '../api/failures.ts';
import { asKilnError, KilnError } from '../domain/errors.ts';
import type { HttpParts } from './parts.ts';

/** Shorter than the idle limits of common proxies, and than what the client takes for a lost connection. */
const HEARTBEAT_MS = 15_000;
const STREAMS_LIMIT = 500;

export type StreamType = 'text/event-stream' | 'application/x-ndjson';

/** Counts the streams of one server. */
export class StreamCount {
  #open = 0;

  get open(): number {
    return this.#open;
  }

  enter(): () => void {
    if (this.#open >= STREAMS_LIMIT) {
      throw new KilnError('server.busy', `${STREAMS_LIMIT} streams are open already.`, {
        next: 'Close some, or try again in a moment.',
        retryable: true,
      });
    }
    this.#open += 1;
    let inside = true;
    return () => {
      if (inside) this.#open -= 1;
      inside = false;
    };
  }
}

export interface StreamParts extends HttpParts {
  readonly streams: StreamCount;
  /** Aborted when the server stops: streams and waiting calls end at once, and their callers ask the next one. */
  readonly closing: AbortSignal;
}

export function eventText(event: { id: number; event: string; data: unknown }): string {
  return `id: ${event.id}\nevent: ${event.event}\ndata: ${JSON.stringify(event.data)}\n\n`;
}

export function streamAnswer(
  parts: Pick<StreamParts, 'log' | 'clock' | 'streams' | 'closing'>,
  type: StreamType,
  signal: AbortSignal,
  source: (ended: AbortSignal) => AsyncIterable<string>,
  heartbeat: () => string = () => (type === 'text/event-stream' ? ': alive\n\n' : '\n'),
): Response {
  const leave = parts.streams.enter();
  const gone = new AbortController();
  const ended = AbortSignal.any([signal, gone.signal, parts.closing]);
  const iterator = source(ended)[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  let next: Promise<IteratorResult<string>> | undefined;
  const finish = (): void => {
    leave();
    gone.abort();
  };
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          next ??= iterator.next();
          const piece = await firstOf(next, parts.clock, ended);
          if (piece === 'silence') return controller.enqueue(encoder.encode(heartbeat()));
          next = undefined;
          if (!piece.done) return controller.enqueue(encoder.encode(piece.value));
          // A source that only stops when it is cut off has not come to its end.
          parts.closing.throwIfAborted();
          finish();
          controller.close();
        } catch (thrown) {
          finish();
          if (signal.aborted) return controller.error(thrown); // nobody reads any more
          if (!parts.closing.aborted) parts.log.warn({ err: thrown }, 'a stream broke');
          // Said as its last item: broken must not look like ended.
          controller.enqueue(
            encoder.encode(problemItem(type, parts.closing.aborted ? parts.closing.reason : thrown)),
          );
          controller.close();
        }
      },
      cancel() {
        finish();
      },
    },
    { highWaterMark: 1 },
  );
  return new Response(body, {
    headers: { 'content-type': type, 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  });
}

function problemItem(type: StreamType, thrown: unknown): string {
  const problem = JSON.stringify(problemOf(asKilnError(thrown)));
  return type === 'text/event-stream' ? `event: problem\ndata: ${problem}\n\n` : `{"problem":${problem}}\n`;
}

/** The next piece, or `silence` after the heartbeat's pause; the piece stays awaited then. */
async function firstOf(
  next: Promise<IteratorResult<string>>,
  clock: HttpParts['clock'],
  ended: AbortSignal,
): Promise<IteratorResult<string> | 'silence'> {
  const came = new AbortController();
  const silence = clock
    .sleep(HEARTBEAT_MS, AbortSignal.any([ended, came.signal]))
    .then(() => 'silence' as const);
  try {
    return await Promise.race([next, silence]);
  } finally {
    came.abort();
    silence.catch(() => undefined); // the sleep was cut short, as meant
  }
}
