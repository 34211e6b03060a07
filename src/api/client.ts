/**
 * The typed client that the command line, the page and others share. Works wherever there is a transport:
 * `fetch` in browsers, `node:http` for the command line. Types come from the contract, at no cost at run time.
 *
 * Every write carries an Idempotency-Key that stays the same when the client itself repeats the call, so a
 * call whose answer was lost is never carried out twice. A server that is being upgraded refuses connections
 * for a moment: calls are repeated for `patienceMs` before they fail with `server.unreachable`, and for
 * `reachedPatienceMs` once the server has answered: then somebody follows work that goes on without it.
 */
import { asKilnError, KilnError } from '../domain/errors.ts';
import type { Answer, Call } from './contract.ts';
import { errorOfProblem } from './failures.ts';
import {
  type BytesOperation,
  type OperationAnswering,
  type OperationName,
  pathOf,
  routeOf,
} from './routes.ts';
import { readEvents, readLines, type ServerSentEvent } from './streams.ts';
import type { Transport, TransportAnswer, TransportRequest } from './transport.ts';

export interface ClientParts {
  readonly transport: Transport;
  /** Empty in a browser, where paths are relative to the page. */
  readonly url: string;
  readonly token?: string;
  readonly patienceMs: number;
  /** At least `patienceMs`, and as long when absent. */
  readonly reachedPatienceMs?: number;
  readonly now: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly newKey: () => string;
}

interface CallOptions {
  readonly signal?: AbortSignal;
  /** Of operations that begin work: how long the answer may wait for its end. */
  readonly waitSeconds?: number;
}

export interface Client {
  call<Name extends OperationAnswering<'json'>>(
    name: Name,
    input: Call<Name>,
    options?: CallOptions,
  ): Promise<Answer<Name>>;
  /** Sends bytes as they are. */
  send<Name extends BytesOperation>(
    name: Name,
    input: Call<Name>,
    bytes: Uint8Array<ArrayBuffer>,
    options?: CallOptions,
  ): Promise<Answer<Name>>;
  /** Follows a stream of events, over lost connections, from where it was. Ends when the server ends it. */
  follow(
    name: OperationAnswering<'events'>,
    input: { readonly params?: object; readonly query?: object },
    options?: CallOptions,
  ): AsyncIterable<ServerSentEvent>;
  lines<Name extends OperationAnswering<'lines'>>(
    name: Name,
    input: Call<Name>,
    options?: CallOptions,
  ): AsyncIterable<Answer<Name>>;
  /** Bytes as the server has them. Ends early when the connection does: with an error. */
  text<Name extends OperationAnswering<'text'>>(
    name: Name,
    input: Call<Name>,
    options?: CallOptions,
  ): AsyncIterable<Uint8Array>;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;
/** A server that answers nothing at all for this long, beyond what it was asked to wait, is taken for lost. */
const ANSWER_LIMIT_MS = 60_000;
/** The server sends something at least every 15 s on a stream. */
const SILENCE_LIMIT_MS = 45_000;

export function createClient(given: ClientParts): Client {
  const parts = patientOnceReached(given);
  return {
    async call<Name extends OperationAnswering<'json'>>(
      name: Name,
      input: Call<Name>,
      options: CallOptions = {},
    ) {
      const request = requestFor(parts, name, input, options);
      const answer = await sendPatiently(parts, request, options.signal);
      return answerOf<Name>(await readJson(answer));
    },
    async send<Name extends BytesOperation>(
      name: Name,
      input: Call<Name>,
      bytes: Uint8Array<ArrayBuffer>,
      options: CallOptions = {},
    ) {
      const request = { ...requestFor(parts, name, input, options), body: bytes };
      const headers = { ...request.headers, 'content-type': 'application/octet-stream' };
      const answer = await sendPatiently(parts, { ...request, headers }, options.signal);
      return answerOf<Name>(await readJson(answer));
    },
    follow: (name, input, options = {}) => followEvents(parts, name, input, options),
    async *lines<Name extends OperationAnswering<'lines'>>(
      name: Name,
      input: Call<Name>,
      options: CallOptions = {},
    ) {
      const request = requestFor(parts, name, input, options);
      const answer = await sendPatiently(parts, request, options.signal);
      if (answer.status >= 400) throw await failureOf(answer);
      for await (const line of readLines(answer.body)) yield answerOf<Name>(line);
    },
    async *text(name, input, options = {}) {
      const answer = await sendPatiently(parts, requestFor(parts, name, input, options), options.signal);
      if (answer.status >= 400) throw await failureOf(answer);
      yield* answer.body;
    },
  };
}

function patientOnceReached(given: ClientParts): ClientParts {
  let isReached = false;
  return {
    ...given,
    transport: async (request, signal) => {
      const answer = await given.transport(request, signal);
      isReached = true;
      return answer;
    },
    get patienceMs() {
      return isReached ? (given.reachedPatienceMs ?? given.patienceMs) : given.patienceMs;
    },
  };
}

function requestFor(
  parts: ClientParts,
  name: OperationName,
  input: object,
  options: CallOptions,
): TransportRequest {
  const route = routeOf(name);
  const body = 'body' in input && input.body !== undefined ? JSON.stringify(input.body) : undefined;
  const query = recordIn(input, 'query');
  const headers: Record<string, string> = { accept: ACCEPT[route.answers] };
  if (parts.token !== undefined) headers.authorization = `Bearer ${parts.token}`;
  if (route.method !== 'get' && route.takes === undefined) headers['idempotency-key'] = parts.newKey();
  if (options.waitSeconds !== undefined) headers.prefer = `wait=${options.waitSeconds}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  return {
    method: route.method.toUpperCase(),
    url: parts.url + pathOf(name, recordIn(input, 'params')) + queryText(query),
    headers,
    ...(body === undefined ? {} : { body }),
    headersTimeoutMs: ANSWER_LIMIT_MS + (options.waitSeconds ?? waitOf(query)) * 1000,
    silenceTimeoutMs: SILENCE_LIMIT_MS,
  };
}

const ACCEPT = {
  json: 'application/json',
  events: 'text/event-stream',
  lines: 'application/x-ndjson',
  text: 'text/plain',
} as const;

function waitOf(query: Readonly<Record<string, unknown>>): number {
  return typeof query.wait === 'number' ? query.wait : 0;
}

function recordIn(input: object, part: 'params' | 'query'): Readonly<Record<string, unknown>> {
  const found: unknown = part in input ? Reflect.get(input, part) : undefined;
  return typeof found === 'object' && found !== null ? { ...found } : {};
}

function queryText(query: Readonly<Record<string, unknown>>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
  return search.size === 0 ? '' : `?${search}`;
}

/** Repeats what is safe to repeat: all calls are, because reads change nothing and writes carry their key. */
async function sendPatiently(
  parts: ClientParts,
  request: TransportRequest,
  signal?: AbortSignal,
): Promise<TransportAnswer> {
  const givesUpAtMs = parts.now() + parts.patienceMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const outcome = await sendOnce(parts.transport, request, signal);
    if (!(outcome instanceof KilnError)) return outcome;
    if (!outcome.retryable || parts.now() + pauseMs > givesUpAtMs) throw outcome;
    await parts.sleep(pauseMs, signal);
  }
}

/** The answer, or a failure that may be worth another try. */
async function sendOnce(
  transport: Transport,
  request: TransportRequest,
  signal?: AbortSignal,
): Promise<TransportAnswer | KilnError> {
  try {
    const answer = await transport(request, signal);
    // The key's first request has not been answered yet, or the server is starting or going: ask again.
    if (answer.status === 409 || answer.status === 503) {
      const failure = await failureOf(answer);
      return RETRIED_CODES.has(failure.code) ? failure : Promise.reject(failure);
    }
    return answer;
  } catch (thrown) {
    if (thrown instanceof KilnError && thrown.code === 'server.unreachable') return thrown;
    throw asKilnError(thrown);
  }
}

const RETRIED_CODES: ReadonlySet<string> = new Set([
  'idempotency.in-progress',
  'store.busy',
  'store.lost',
  'server.busy',
]);

/**
 * The one place where what a server sent gets its type: the contract's, which tests hold every server to. It is not
 * parsed by its schema here, for that would load all of them before the first answer.
 */
function answerOf<Name extends OperationName>(value: unknown): Answer<Name> {
  return value as Answer<Name>;
}

async function readJson(answer: TransportAnswer): Promise<unknown> {
  if (answer.status >= 400) throw await failureOf(answer);
  return parseJson(await answer.text(), answer.status);
}

function parseJson(text: string, status: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KilnError('server.protocol', `The server answered ${status} with something that is not JSON.`, {
      cause,
      next: 'See that KILN_URL points at a Kiln server.',
    });
  }
}

async function failureOf(answer: TransportAnswer): Promise<KilnError> {
  const text = await answer.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined; // not JSON: errorOfProblem says that the answer could not be read
  }
  return errorOfProblem(answer.status, body);
}

/** Reads events; after a lost connection it goes on after the last one it saw. */
async function* followEvents(
  parts: ClientParts,
  name: OperationAnswering<'events'>,
  input: object,
  options: CallOptions,
): AsyncIterable<ServerSentEvent> {
  let lastId: string | undefined;
  for (;;) {
    const request = requestFor(parts, name, input, options);
    const headers = lastId === undefined ? request.headers : { ...request.headers, 'last-event-id': lastId };
    const answer = await sendPatiently(parts, { ...request, headers }, options.signal);
    if (answer.status >= 400) throw await failureOf(answer);
    try {
      for await (const event of readEvents(answer.body)) {
        if (event.id !== undefined) lastId = event.id;
        if (event.data === undefined) continue; // a heartbeat: it only says how far we are
        yield event;
        if (event.event === 'end') return;
      }
    } catch (thrown) {
      if (options.signal?.aborted || !isLostConnection(thrown)) throw thrown;
    }
    await parts.sleep(FIRST_PAUSE_MS, options.signal);
  }
}

/** Cut, or ended by a server that stops: in both cases the stream goes on elsewhere or later. */
function isLostConnection(thrown: unknown): boolean {
  return (
    thrown instanceof KilnError && (thrown.code === 'server.unreachable' || thrown.code === 'server.busy')
  );
}
