/**
 * A client of the Docker Engine API over the engine's unix socket, as far as Kiln needs it. The API's reference is
 * docs.docker.com/reference/api/engine; every path stands there by the name used here.
 *
 * `target.unavailable`: nobody answers. `target.rejected`: the engine answered with an error, whose HTTP status is
 * in `details.status`.
 */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { KilnError } from '../domain/errors.ts';

/** What is asked for is in API 1.41 (Docker 20.10) already; newer engines are spoken to as this one at most. */
const NEWEST_API = [1, 47] as const;
const ANSWER_LIMIT_MS = 120_000;
const SOCKETS = 64;
/** An error's body is a sentence; whatever is longer is no answer of an engine. */
const ERROR_BYTES = 64 * 1024;

export interface EngineRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD';
  /** Without the version: `/containers/json`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** An object is sent as JSON, a stream as a tar archive. */
  readonly body?: object | Readable;
  readonly signal: AbortSignal;
  /** For the whole answer, or for its beginning where it is a stream. */
  readonly limitMs?: number;
}

/** A connection that the engine is to speak another protocol on. */
export interface HijackRequest {
  readonly path: string;
  /** What the connection is upgraded to: `h2c`. */
  readonly protocol: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly signal: AbortSignal;
}

const errorBody = z.object({ message: z.string() });

export class EngineClient {
  readonly socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS });
  #prefix: string | undefined;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** Fails with `target.unavailable` when no engine answers. */
  async ping(signal: AbortSignal): Promise<{ readonly builder: 'classic' | 'buildkit' }> {
    const answer = await this.#exchange({ method: 'GET', path: '/_ping', signal }, '');
    const { 'api-version': version, 'builder-version': builder } = answer.headers;
    await drain(answer);
    this.#prefix = `/v${spokenVersion(typeof version === 'string' ? version : '')}`;
    // Engines before 23 have BuildKit without saying so; one that was told not to use it says 1.
    return { builder: builder === '1' ? 'classic' : 'buildkit' };
  }

  async json<Shape extends z.ZodType>(shape: Shape, request: EngineRequest): Promise<z.output<Shape>> {
    const answer = await this.open(request);
    const parsed = shape.safeParse(parseJson(await text(answer)));
    if (parsed.success) return parsed.data;
    throw new KilnError(
      'target.rejected',
      `The Docker engine answered ${request.path} with something else.`,
      {
        cause: parsed.error,
        next: `See that ${this.socketPath} is the socket of a Docker engine.`,
        details: { status: answer.statusCode ?? 0 },
      },
    );
  }

  /** For what answers nothing of interest. */
  async send(request: EngineRequest): Promise<void> {
    await drain(await this.open(request));
  }

  /** The answer's body as it comes; whoever opens it reads it to its end, or destroys it. */
  async open(request: EngineRequest): Promise<IncomingMessage> {
    if (this.#prefix === undefined) await this.ping(request.signal);
    const answer = await this.#exchange(request, this.#prefix ?? '');
    if ((answer.statusCode ?? 0) < 400) return answer;
    throw await refusal(answer);
  }

  /** A connection of its own, upgraded; whoever takes it destroys it. */
  async hijack({ path, protocol, headers, signal }: HijackRequest): Promise<Duplex> {
    if (this.#prefix === undefined) await this.ping(signal);
    const limit = AbortSignal.timeout(ANSWER_LIMIT_MS);
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    const outgoing = httpRequest({
      socketPath: this.socketPath,
      agent: false,
      method: 'POST',
      path: `${this.#prefix ?? ''}${path}`,
      headers: { host: 'docker', connection: 'Upgrade', upgrade: protocol, ...headers },
    });
    const stop = (): void => void outgoing.destroy();
    const closed = (): void => reject(new Error('the connection was closed'));
    const ending = AbortSignal.any([signal, limit]);
    ending.addEventListener('abort', stop, { once: true });
    outgoing.once('upgrade', (_, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    outgoing.once('response', (answer) => {
      // The connection may be gone before the reason has been read.
      outgoing.off('close', closed);
      refusal(answer).then(reject, reject);
    });
    outgoing.once('error', reject);
    outgoing.once('close', closed);
    outgoing.end();
    try {
      return await promise;
    } catch (error) {
      signal.throwIfAborted();
      if (limit.aborted) throw tooLate('POST', path, ANSWER_LIMIT_MS);
      throw error instanceof KilnError ? error : unavailable(this.socketPath, error);
    } finally {
      ending.removeEventListener('abort', stop);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #exchange(request: EngineRequest, prefix: string): Promise<IncomingMessage> {
    const { method, path, query, body, signal, limitMs = ANSWER_LIMIT_MS } = request;
    signal.throwIfAborted();
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), limitMs);
    const search = query === undefined ? '' : `?${new URLSearchParams(query)}`;
    const json = body === undefined || isStream(body) ? undefined : JSON.stringify(body);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = httpRequest(
      {
        socketPath: this.socketPath,
        agent: this.#agent,
        method,
        path: `${prefix}${path}${search}`,
        // The engine may be addressed by any name; a Host is required all the same.
        headers: { host: 'docker', ...contentHeaders(json, body) },
        signal: AbortSignal.any([signal, late.signal]),
      },
      resolve,
    );
    outgoing.once('error', reject);
    if (body !== undefined && isStream(body)) {
      // A refusal may come before all is sent: then the answer counts, not the broken pipe.
      pipeline(body, outgoing).catch((error) => reject(error));
    } else outgoing.end(json);
    try {
      return await promise;
    } catch (error) {
      signal.throwIfAborted();
      this.#prefix = undefined; // Another version of the engine may answer next.
      if (late.signal.aborted) throw tooLate(method, path, limitMs);
      throw unavailable(this.socketPath, error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** True for the engine's refusal with this HTTP status. */
export function isRefusal(error: unknown, status: number): error is KilnError {
  return error instanceof KilnError && error.code === 'target.rejected' && error.details.status === status;
}

/** Engines filter by this JSON: `{"label":["a=b"]}`. */
export function filters(of: Readonly<Record<string, readonly string[]>>): { readonly filters: string } {
  return { filters: JSON.stringify(of) };
}

async function refusal(answer: IncomingMessage): Promise<KilnError> {
  const { statusCode = 0 } = answer;
  const body = errorBody.safeParse(parseJson(await text(answer, ERROR_BYTES)));
  const message = body.success ? body.data.message.trim() : `HTTP status ${statusCode}`;
  return new KilnError('target.rejected', `The Docker engine refused: ${message}`, {
    retryable: statusCode >= 500,
    details: { status: statusCode },
  });
}

function contentHeaders(
  json: string | undefined,
  body: EngineRequest['body'],
): Readonly<Record<string, string | number>> {
  if (json !== undefined) {
    return { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) };
  }
  return body === undefined ? {} : { 'content-type': 'application/x-tar' };
}

function isStream(body: object): body is Readable {
  return 'pipe' in body;
}

function spokenVersion(theirs: string): string {
  const match = /^(\d+)\.(\d+)$/.exec(theirs);
  const [major, minor] = NEWEST_API;
  const newer = Number(match?.[1]) > major || Number(match?.[2]) > minor;
  return match === null || newer ? `${major}.${minor}` : theirs;
}

async function text(answer: IncomingMessage, limitBytes = Number.POSITIVE_INFINITY): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer) {
    if (size < limitBytes) chunks.push(chunk);
    size += chunk.length;
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function drain(answer: IncomingMessage): Promise<void> {
  for await (const _ of answer);
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Not JSON: the shape it is held against says so.
    return undefined;
  }
}

function tooLate(method: string, path: string, limitMs: number): KilnError {
  return new KilnError(
    'timeout',
    `The Docker engine did not answer ${method} ${path} in ${limitMs / 1000} s.`,
    {
      next: 'Look at the log of the engine.',
      retryable: true,
    },
  );
}

const SYSTEM_ERRORS: Readonly<Record<string, { readonly what: string; readonly next: string }>> = {
  ENOENT: {
    what: 'there is no such socket',
    next: 'Install and start Docker (Debian: docker.io), or set KILN_DOCKER_SOCKET.',
  },
  ECONNREFUSED: { what: 'nobody listens there', next: 'Start the Docker engine.' },
  EACCES: { what: 'this user may not use it', next: 'Add the user that runs Kiln to the group docker.' },
};

function unavailable(socketPath: string, cause: unknown): KilnError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const known = SYSTEM_ERRORS[code];
  const what = known?.what ?? (cause instanceof Error ? cause.message : String(cause));
  return new KilnError('target.unavailable', `No Docker engine answers at ${socketPath}: ${what}.`, {
    cause,
    next: known?.next ?? 'See that the Docker engine runs.',
    retryable: true,
  });
}
