/**
 * One request and its answer.
 *
 *   choosing → waiting → choosing …            no healthy endpoint yet, and the pool lets requests wait
 *   choosing → connecting → sent → answering → ended
 *                                sent → tunnel (the client connection lives on without the exchange)
 *   connecting | sent → choosing               refused, or closed on reuse before a byte of an answer came
 *
 * What must hold: while it has an endpoint it is counted there, exactly once; no byte of a body is sent before
 * the connection stands, so a refused request has sent nothing and may go elsewhere, whatever its method;
 * once anything was sent, only a safe request is sent again; once the answer's head is out, a failure can only
 * cut the client, for a short body must not look whole.
 */

import type { Socket } from 'node:net';
import type { BodyReader } from './body.ts';
import { ChunkedBody, EmptyBody, LengthBody, UntilCloseBody } from './body.ts';
import type { InFlight, RoutedEndpointState } from './endpoint.ts';
import { BadHead, HEAD_END } from './head-text.ts';
import type { Limits } from './limits.ts';
import type { LiveTable } from './live-table.ts';
import { PAGES, type Page } from './pages.ts';
import type { PoolState, Waiting } from './pool.ts';
import { isSafeToRepeat, type RequestHead, upstreamRequestText } from './request-head.ts';
import { clientResponseText, type ResponseHead, readResponseHead } from './response-head.ts';
import { Tunnel } from './tunnel.ts';
import { connectionTo, type UpstreamConnection, type UpstreamUser } from './upstream-connection.ts';

/** What requests are forwarded by. */
export interface Forwarding {
  readonly table: LiveTable;
  readonly limits: Limits;
  readonly listenPort: number;
  /** True when the header's value is the secret that lets a client ask who answered. */
  isProbe(value: string): boolean;
  /** How long requests of the pool may wait for a healthy endpoint. */
  holdMs(pool: PoolState): number;
  now(): number;
}

/** The client's side of an exchange. */
export interface Downstream {
  readonly address: string;
  /** False: its connection ends with this answer. */
  readonly mayBeKept: boolean;
  /** False: wait for `clientDrained` before writing more. */
  write(data: string | Buffer): boolean;
  pause(): void;
  resume(): void;
  destroy(): void;
  /** A fault of the router's own. */
  failed(thrown: unknown): void;
  /** The answer is out. */
  answered(mayKeep: boolean): void;
  answerWith(page: Page, head: RequestHead, isRequestDone: boolean): void;
  /** What came after a request that asked for an upgrade. */
  takeEarlyBytes(): Buffer | undefined;
  surrender(): Socket;
  tunnelled(): void;
}

type Mode = 'choosing' | 'waiting' | 'connecting' | 'sent' | 'answering' | 'ended';

const MAX_ATTEMPTS = 4;
/** Bodies up to this size leave in one write with their head. */
const JOINED_BYTES = 8 * 1024;

export class Exchange implements UpstreamUser, InFlight, Waiting {
  readonly #client: Downstream;
  readonly #forwarding: Forwarding;
  readonly #head: RequestHead;
  readonly #pool: PoolState;
  #mode: Mode = 'choosing';
  #attempts = 0;
  #tried: Set<RoutedEndpointState> | undefined;
  #holdUntilMs = -1;
  #holdTimer: NodeJS.Timeout | undefined;
  #failure: Page = PAGES.noInstance;
  #upstream: UpstreamConnection | undefined;
  /** Set together with the connection. */
  #endpoint: RoutedEndpointState | undefined;
  #onlyNew = false;
  /** Pieces of the request's body that came before the connection stood. */
  #backlog: Buffer[] = [];
  #isRequestDone: boolean;
  #received: Buffer | undefined;
  #response: ResponseHead | undefined;
  #responseBody: BodyReader | undefined;
  #keepsClient = false;
  /** Compared by the client connection's sweep. */
  deadlineMs = Number.POSITIVE_INFINITY;

  constructor(client: Downstream, forwarding: Forwarding, head: RequestHead, pool: PoolState) {
    this.#client = client;
    this.#forwarding = forwarding;
    this.#head = head;
    this.#pool = pool;
    this.#isRequestDone =
      head.body.kind === 'none' || (head.body.kind === 'length' && head.body.sizeBytes === 0);
  }

  /** True once a failure can only be shown by cutting the client off. */
  get isAnswering(): boolean {
    return this.#mode === 'answering';
  }

  start(): void {
    this.#choose();
  }

  /** A checked piece of the request's body. */
  requestBody(piece: Buffer, isLast: boolean): void {
    if (this.#mode === 'ended') return;
    if (isLast) this.#isRequestDone = true;
    if (piece.length === 0) return;
    if (this.#upstream === undefined || this.#mode === 'connecting' || this.#mode === 'choosing') {
      this.#backlog.push(piece);
      this.#client.pause();
      return;
    }
    this.#touch();
    if (!this.#upstream.write(piece)) this.#client.pause();
  }

  /** The client is gone, or sent something that is not HTTP. */
  abandon(): void {
    this.#end();
    this.#letGo(false);
  }

  clientDrained(): void {
    this.#upstream?.resume();
  }

  /** The time that was granted for what it waits for is over. */
  expired(): void {
    if (this.#mode === 'connecting') {
      this.#tryElsewhere(PAGES.silent);
    } else this.#fail(PAGES.silent);
  }

  cut(): void {
    this.#fail(PAGES.drained);
  }

  chooseAgain(): void {
    clearTimeout(this.#holdTimer);
    this.#tried = undefined;
    this.#choose();
  }

  #choose(): void {
    this.#mode = 'choosing';
    const endpoint = this.#pool.pick(this.#tried);
    if (endpoint === undefined) this.#waitOrGiveUp();
    else this.#connect(endpoint);
  }

  #waitOrGiveUp(): void {
    const nowMs = this.#forwarding.now();
    if (this.#holdUntilMs < 0) this.#holdUntilMs = nowMs + this.#forwarding.holdMs(this.#pool);
    const isFull = this.#pool.waiting >= this.#forwarding.limits.waitingRequests;
    if (this.#holdUntilMs <= nowMs || isFull || this.#pool.isWithdrawn) {
      this.#fail(this.#failure);
      return;
    }
    this.#mode = 'waiting';
    this.#pool.wait(this);
    this.#holdTimer = setTimeout(() => {
      this.#pool.leave(this);
      this.#fail(this.#failure);
    }, this.#holdUntilMs - nowMs);
  }

  #connect(endpoint: RoutedEndpointState): void {
    this.#attempts++;
    endpoint.begin(this);
    const nowMs = this.#forwarding.now();
    const upstream = connectionTo(endpoint, nowMs, this.#onlyNew);
    this.#upstream = upstream;
    this.#endpoint = endpoint;
    upstream.use(this);
    if (upstream.isConnected) {
      this.#send();
    } else {
      this.#mode = 'connecting';
      this.deadlineMs = nowMs + this.#forwarding.limits.connectMs;
    }
  }

  connected(): void {
    this.#send();
  }

  #send(): void {
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    this.#mode = 'sent';
    this.#touch();
    const text = upstreamRequestText(this.#head, {
      address: this.#client.address,
      listenPort: this.#forwarding.listenPort,
    });
    let isRoomy = upstream.write(text);
    for (const piece of this.#backlog) isRoomy = upstream.write(piece);
    if (this.#backlog.length > 0) {
      this.#backlog = [];
      if (isRoomy) this.#client.resume();
    }
  }

  received(chunk: Buffer): void {
    try {
      this.#receive(chunk);
    } catch (thrown) {
      this.#client.failed(thrown);
    }
  }

  #receive(chunk: Buffer): void {
    this.#touch();
    if (this.#responseBody !== undefined) {
      this.#relay(chunk, 0, undefined);
      return;
    }
    this.#received = this.#received === undefined ? chunk : Buffer.concat([this.#received, chunk]);
    this.#readHeads();
  }

  drained(): void {
    this.#client.resume();
  }

  ended(): void {
    if (this.#response?.body.kind === 'until-close') {
      this.#finish();
      return;
    }
    this.closed(undefined);
  }

  closed(error: NodeJS.ErrnoException | undefined): void {
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    if (this.#mode === 'connecting') {
      if (error?.code === 'ECONNREFUSED') this.#endpoint?.refused();
      this.#tryElsewhere(PAGES.unreachable);
      return;
    }
    const isSilent = this.#mode === 'sent' && this.#received === undefined;
    if (isSilent && upstream.isReused && isSafeToRepeat(this.#head) && this.#attempts < MAX_ATTEMPTS) {
      this.#letGo(false);
      this.#onlyNew = true;
      this.#choose();
      return;
    }
    this.#fail(PAGES.brokenAnswer);
  }

  /** Nothing was sent, so any request may be given to another endpoint. */
  #tryElsewhere(page: Page): void {
    const endpoint = this.#endpoint;
    this.#letGo(false);
    if (endpoint !== undefined) this.#tried = (this.#tried ?? new Set()).add(endpoint);
    this.#failure = page;
    if (this.#attempts < MAX_ATTEMPTS) this.#choose();
    else this.#fail(page);
  }

  /** Reads heads until the final one; interim ones (100, 103) are passed on. */
  #readHeads(): void {
    for (;;) {
      const received = this.#received;
      if (received === undefined) return;
      const end = received.indexOf(HEAD_END);
      if (end === -1 || end > this.#forwarding.limits.responseHeadBytes) {
        if (received.length > this.#forwarding.limits.responseHeadBytes) this.#fail(PAGES.brokenAnswer);
        return;
      }
      const response = this.#parse(received.toString('latin1', 0, end + 2));
      if (response === undefined) return;
      const restAt = end + HEAD_END.length;
      if (response.status === 101) {
        this.#becomeTunnel(response, received.subarray(restAt));
        return;
      }
      if (response.status >= 200) {
        this.#received = undefined;
        this.#answer(response, received, restAt);
        return;
      }
      if (this.#head.minorVersion === 1) {
        this.#client.write(clientResponseText(response, { minorVersion: 1, keepAlive: true }));
      }
      this.#received = restAt === received.length ? undefined : received.subarray(restAt);
    }
  }

  #parse(text: string): ResponseHead | undefined {
    try {
      return readResponseHead(text, this.#head.method);
    } catch (thrown) {
      if (!(thrown instanceof BadHead)) throw thrown;
      this.#fail(PAGES.brokenAnswer); // the instance's fault; the page says so
      return undefined;
    }
  }

  #answer(response: ResponseHead, received: Buffer, bodyAt: number): void {
    this.#mode = 'answering';
    this.#response = response;
    this.#responseBody = bodyReader(response);
    const isDelimited =
      response.body.kind === 'none' ||
      response.body.kind === 'length' ||
      (response.body.kind === 'chunked' && this.#head.minorVersion === 1);
    this.#keepsClient = isDelimited && this.#isRequestDone && this.#head.keepAlive && this.#client.mayBeKept;
    const instance = this.#probedInstance();
    const text = clientResponseText(response, {
      minorVersion: this.#head.minorVersion,
      keepAlive: this.#keepsClient,
      ...(instance === undefined ? {} : { instance }),
    });
    this.#relay(received, bodyAt, text);
  }

  #probedInstance(): string | undefined {
    const { probe } = this.#head;
    if (probe === undefined || !this.#forwarding.isProbe(probe)) return undefined;
    return this.#endpoint?.instance;
  }

  /** Passes on the body's bytes in `chunk`, with the head's text before them when it is not out yet. */
  #relay(chunk: Buffer, from: number, headText: string | undefined): void {
    const body = this.#responseBody;
    if (body === undefined) return;
    const isDechunked = this.#response?.body.kind === 'chunked' && this.#head.minorVersion === 0;
    const pieces: Buffer[] = [];
    let to: number;
    try {
      to = body.take(chunk, from, isDechunked ? (a, b) => pieces.push(chunk.subarray(a, b)) : undefined);
    } catch (thrown) {
      if (!(thrown instanceof BadHead)) throw thrown;
      this.#mode = 'answering'; // its chunks are malformed: the client must not see a whole message
      this.#fail(PAGES.brokenAnswer);
      return;
    }
    const piece = isDechunked ? Buffer.concat(pieces) : chunk.subarray(from, to);
    if (!this.#write(headText, piece) && !body.isDone) this.#upstream?.pause();
    if (body.isDone) this.#finish(to === chunk.length);
  }

  #write(headText: string | undefined, piece: Buffer): boolean {
    if (headText === undefined) return piece.length === 0 || this.#client.write(piece);
    if (piece.length === 0) return this.#client.write(headText);
    if (piece.length <= JOINED_BYTES) {
      return this.#client.write(headText + piece.toString('latin1', 0, piece.length));
    }
    this.#client.write(headText);
    return this.#client.write(piece);
  }

  #becomeTunnel(response: ResponseHead, rest: Buffer): void {
    const upstream = this.#upstream;
    const endpoint = this.#endpoint;
    if (upstream === undefined || endpoint === undefined || this.#head.upgrade === undefined) {
      this.#fail(PAGES.brokenAnswer);
      return;
    }
    const instance = this.#probedInstance();
    this.#client.write(
      clientResponseText(
        { ...response, upgrade: response.upgrade ?? this.#head.upgrade },
        { minorVersion: 1, keepAlive: true, ...(instance === undefined ? {} : { instance }) },
      ),
    );
    if (rest.length > 0) this.#client.write(rest);
    const early = this.#client.takeEarlyBytes();
    if (early !== undefined) upstream.write(early);
    endpoint.begin(new Tunnel(this.#client.surrender(), upstream.surrender(), endpoint));
    this.#end();
    endpoint.end(this);
    this.#upstream = undefined;
    this.#endpoint = undefined;
    this.#client.tunnelled();
  }

  /** The answer is out. */
  #finish(isExact = true): void {
    const wasRequestDone = this.#isRequestDone;
    const mayReuse = isExact && wasRequestDone && this.#response?.keepAlive === true;
    this.#end();
    this.#letGo(mayReuse && this.#response?.body.kind !== 'until-close');
    this.#client.answered(this.#keepsClient && wasRequestDone);
  }

  #fail(page: Page): void {
    if (this.#mode === 'ended') return;
    const isHeadOut = this.#mode === 'answering';
    this.#end();
    this.#letGo(false);
    if (isHeadOut) this.#client.destroy();
    else this.#client.answerWith(page, this.#head, this.#isRequestDone);
  }

  #end(): void {
    this.#mode = 'ended';
    clearTimeout(this.#holdTimer);
    this.#pool.leave(this);
    this.#backlog = [];
  }

  #letGo(mayReuse: boolean): void {
    const upstream = this.#upstream;
    const endpoint = this.#endpoint;
    if (upstream === undefined) return;
    this.#upstream = undefined;
    this.#endpoint = undefined;
    this.#received = undefined;
    if (mayReuse) upstream.rest(this.#forwarding.now(), this.#response?.keepAliveTimeoutMs);
    else upstream.destroy();
    endpoint?.end(this);
  }

  #touch(): void {
    this.deadlineMs = this.#forwarding.now() + this.#forwarding.limits.instanceSilenceMs;
  }
}

function bodyReader(response: ResponseHead): BodyReader {
  switch (response.body.kind) {
    case 'none':
      return new EmptyBody();
    case 'length':
      return new LengthBody(response.body.sizeBytes);
    case 'chunked':
      return new ChunkedBody();
    case 'until-close':
      return new UntilCloseBody();
  }
}
