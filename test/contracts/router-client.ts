/** Clients of a router: one request, raw bytes, constant load. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  readonly trailers: NodeJS.Dict<string>;
}

export interface Asked {
  readonly port: number;
  readonly host: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  /** Without a `content-length` header it goes out in chunks. */
  readonly body?: Buffer | readonly Buffer[];
  readonly trailers?: Record<string, string>;
  readonly agent?: http.Agent;
}

export function ask(asked: Asked): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1',
      port: asked.port,
      path: asked.path ?? '/',
      method: asked.method ?? 'GET',
      headers: { ...asked.headers, host: asked.host },
      agent: asked.agent ?? false,
      timeout: 30_000,
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', reject);
    request.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(pieces);
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body,
          text: body.toString('utf8'),
          trailers: response.trailers,
        });
      });
    });
    const pieces = asked.body === undefined ? [] : Buffer.isBuffer(asked.body) ? [asked.body] : asked.body;
    for (const piece of pieces) request.write(piece);
    if (asked.trailers !== undefined) request.addTrailers(asked.trailers);
    request.end();
  });
}

const FIRST_ANSWER_LIMIT_MS = 20_000;
const SILENCE_MS = 500;

/** Sends bytes on a connection of their own, and reads until it closes or, after an answer, stays silent. */
export async function sendRaw(port: number, text: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const pieces: Buffer[] = [];
  const over = new Promise<void>((resolve) => {
    let timer = setTimeout(resolve, FIRST_ANSWER_LIMIT_MS);
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece);
      clearTimeout(timer);
      timer = setTimeout(resolve, SILENCE_MS);
    });
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
  });
  socket.write(text, 'latin1');
  await over;
  socket.destroy();
  return Buffer.concat(pieces).toString('latin1');
}

/** Requests one after another on every one of its connections until stopped; counts what is not a whole 200. */
export class Load {
  succeeded = 0;
  readonly failures: string[] = [];
  /** The same, with the times of `Date.now`. */
  readonly failed: { readonly why: string; readonly startedAtMs: number; readonly endedAtMs: number }[] = [];
  readonly answeredBy = new Map<string, number>();
  readonly #stopping = new AbortController();
  readonly #agent: http.Agent;
  readonly #workers: Promise<void>[];

  constructor(port: number, host: string, options: { connections: number; keepAlive: boolean }) {
    this.#agent = new http.Agent({ keepAlive: options.keepAlive, maxSockets: options.connections });
    this.#workers = Array.from({ length: options.connections }, () =>
      this.#work(port, host, options.keepAlive),
    );
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#workers);
    this.#agent.destroy();
  }

  #fail(why: string, startedAtMs: number): void {
    this.failures.push(why);
    this.failed.push({ why, startedAtMs, endedAtMs: Date.now() });
  }

  async #work(port: number, host: string, keepAlive: boolean): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const startedAtMs = Date.now();
      try {
        const answer = await ask({ port, host, agent: this.#agent });
        if (answer.status === 200 && answer.text !== '') {
          this.succeeded++;
          this.answeredBy.set(answer.text, (this.answeredBy.get(answer.text) ?? 0) + 1);
        } else {
          this.#fail(
            `${Math.round(performance.now())} status ${answer.status}: ${answer.text.slice(0, 200)}`,
            startedAtMs,
          );
        }
      } catch (thrown) {
        this.#fail(String(thrown), startedAtMs);
      }
      if (!keepAlive) await sleep(1);
    }
  }
}
