/**
 * Asks another server of the same store for what only that one has, on behalf of a caller and with the caller's own
 * token, so that nobody reads there what they may not read here. One hop: whoever is asked so asks nobody else.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createClient } from '../api/client.ts';
import type { Answer, Call } from '../api/contract.ts';
import { errorOfProblem } from '../api/failures.ts';
import type { OperationAnswering } from '../api/routes.ts';
import { fetchTransport, type TransportRequest } from '../api/transport.ts';
import { KilnError } from '../domain/errors.ts';
import { goneSinceMs, type KnownServer } from '../domain/known-server.ts';
import { isLoopback } from '../domain/loopback.ts';
import type { Caller } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { PASSED_TO } from './passed-to.ts';

const ANSWER_LIMIT_MS = 10_000;
/** A server packs a source, or fetches an artifact from its bucket, before it answers. */
const PASS_LIMIT_MS = 610_000;
/** Of an answer that is passed on. */
const HEADERS = ['content-type', 'retry-after', 'idempotency-replayed', 'www-authenticate'];
/** Whoever streams sends a heartbeat every 15 s. */
const SILENCE_LIMIT_MS = 45_000;

export class OtherServers {
  readonly #parts: Pick<HttpParts, 'servers' | 'clock'>;
  readonly #send = fetchTransport(fetch);

  constructor(parts: Pick<HttpParts, 'servers' | 'clock'>) {
    this.#parts = parts;
  }

  /** Fails with `server.gone` where it does not live, and with what it answers. */
  async call<Name extends OperationAnswering<'json'>>(
    id: string,
    name: Name,
    input: Call<Name>,
    { sent, signal, attempt }: Pick<Caller, 'sent' | 'signal' | 'attempt'>,
    waitSeconds = 0,
  ): Promise<Answer<Name>> {
    const server = await this.#living(id);
    const client = createClient({
      transport: (request, limit) => this.#ask(server, request, limit, waitSeconds),
      url: server.url,
      token: sent.token,
      patienceMs: 0,
      now: () => this.#parts.clock.monotonic(),
      sleep: (ms, limit) => this.#parts.clock.sleep(ms, limit),
      // This server holds the caller's key meanwhile: the other one has another, which is the same for the same call.
      newKey: () => (attempt === undefined ? randomUUID() : hashOf(attempt.key, id, name)),
    });
    return await client.call(name, input, { signal, waitSeconds });
  }

  /** What the caller itself asked for, as that server sends it; resolves once it has begun to. Fails as `call` does. */
  async stream(
    id: string,
    { sent, lastEventId, signal }: Pick<Caller, 'sent' | 'lastEventId' | 'signal'>,
  ): Promise<AsyncIterable<Uint8Array>> {
    const server = await this.#living(id);
    const headers = {
      authorization: `Bearer ${sent.token}`,
      ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
    };
    const request = {
      method: 'GET',
      url: server.url + sent.path,
      headers,
      headersTimeoutMs: 0,
      silenceTimeoutMs: 0,
    };
    const answer = await this.#ask(server, request, signal);
    if (answer.status < 400) return answer.body;
    throw errorOfProblem(answer.status, parsed(await answer.text()));
  }

  /** The call as it came, its body and all, and the answer as it comes. Fails as `call` does. */
  async pass(id: string, request: Request, closing: AbortSignal): Promise<Response> {
    const server = await this.#living(id);
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    for (const name of ['host', 'connection', 'content-length', 'transfer-encoding']) headers.delete(name);
    headers.set(PASSED_TO, server.id);
    const signal = AbortSignal.any([request.signal, closing, AbortSignal.timeout(PASS_LIMIT_MS)]);
    const { method, body } = request;
    try {
      const whole = { method, headers, signal, ...(body !== null && { body, duplex: 'half' as const }) };
      const answer = await fetch(server.url + pathname + search, whole);
      const passed = HEADERS.flatMap((name) => {
        const value = answer.headers.get(name);
        return value === null ? [] : [[name, value] as [string, string]];
      });
      return new Response(answer.body, { status: answer.status, headers: passed });
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      throw noAnswer(server, thrown);
    }
  }

  /** Those that live, but for this one. */
  async living(): Promise<readonly string[]> {
    const { servers, clock } = this.#parts;
    const known = await servers.list();
    const nowMs = clock.now();
    const living = known.filter((one) => one.id !== servers.id && goneSinceMs(one, nowMs) === undefined);
    return living.map(({ id }) => id);
  }

  async #ask(server: KnownServer, request: TransportRequest, signal?: AbortSignal, waitSeconds = 0) {
    const headers = { ...request.headers, [PASSED_TO]: server.id };
    const headersTimeoutMs = ANSWER_LIMIT_MS + waitSeconds * 1_000;
    const limits = { headersTimeoutMs, silenceTimeoutMs: SILENCE_LIMIT_MS };
    try {
      return await this.#send({ ...request, headers, ...limits }, signal);
    } catch (thrown) {
      if (signal?.aborted) throw thrown;
      throw noAnswer(server, thrown);
    }
  }

  async #living(id: string): Promise<KnownServer> {
    const { servers, clock } = this.#parts;
    const server = await servers.get(id);
    if (server === undefined) {
      throw new KilnError('server.gone', `It is on a server that has not been seen for a month (${id}).`, {
        next: 'Start a server on that state directory again, where it is still there.',
      });
    }
    const sinceMs = goneSinceMs(server, clock.now());
    if (sinceMs !== undefined) throw gone(server, 'is gone', sinceMs);
    if (server.host === servers.host || !isOfItsMachine(new URL(server.url).hostname)) return server;
    throw new KilnError(
      'server.unreachable',
      `It is on the server at ${server.url} of ${server.host}, and that address is good on ${server.host} only.`,
      {
        next: `Set KILN_PEER_URL on ${server.host} to where this server reaches it, and start it again.`,
      },
    );
  }
}

function hashOf(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join(' ')).digest('hex');
}

/** Loopback, or what is listened on for want of a name. */
function isOfItsMachine(name: string): boolean {
  return isLoopback(name) || name === '0.0.0.0' || name === '[::]';
}

/** Undefined: it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** It says that it lives, or did a moment ago. */
function noAnswer(server: KnownServer, cause: unknown): KilnError {
  const code = systemCode(cause);
  if (!/CERT|SELF_SIGNED|ERR_TLS|UNABLE_TO_VERIFY/.test(code))
    return gone(server, `does not answer${code && ` (${code})`}`, server.seenAtMs, cause);
  return new KilnError('server.protocol', `The certificate of ${server.url} is not trusted here: ${code}.`, {
    cause,
    next: 'Start this server with NODE_EXTRA_CA_CERTS set to the file of its authority.',
  });
}

/** Of the system’s error that all others are about; empty: there is none. */
function systemCode(thrown: unknown): string {
  if (!(thrown instanceof Error)) return '';
  const own = 'code' in thrown && !(thrown instanceof KilnError) ? String(thrown.code) : '';
  return systemCode(thrown.cause) || own;
}

function gone({ url, host }: KnownServer, how: string, sinceMs: number, cause?: unknown): KilnError {
  const since = new Date(sinceMs).toISOString();
  return new KilnError(
    'server.gone',
    `It is on the server at ${url} on ${host}, which ${how}: last seen at ${since}.`,
    {
      next: 'Start that server again: what is in its state directory is still there.',
      details: { url, host, lastSeenAtMs: sinceMs },
      ...(cause !== undefined && { cause }),
    },
  );
}
