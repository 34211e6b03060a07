/**
 * One connection of a client.
 *
 *   head → exchange → head …           request after request, in order; pipelined ones wait
 *        → closing → closed            an answer that ends the connection: its rest is read and thrown away
 *          exchange → tunnel           upgraded; the tunnel owns the socket from then on
 */
import type { Socket } from 'node:net';
import { type BodyReader, bodyReader, EmptyBody } from './body.ts';
import { Exchange } from './exchange.ts';
import type { Downstream, Forwarding } from './forwarding.ts';
import { BadHead, HEAD_END, hasBareLineFeed, withoutLeadingLineBreaks } from './head-text.ts';
import { acceptIn, badRequest, PAGES, type Page, pageText } from './pages.ts';
import { type RequestHead, readRequestHead } from './request-head.ts';

/** Who keeps the list of connections. */
export interface ConnectionKeeper {
  /** False once the listener was handed over: no connection is kept beyond its request. */
  readonly mayKeep: boolean;
  closed(connection: ClientConnection): void;
  failed(thrown: unknown): void;
}

type Mode = 'head' | 'exchange' | 'closing' | 'tunnel' | 'closed';

const EARLY_BYTES = 64 * 1024;

export class ClientConnection implements Downstream {
  readonly address: string;
  readonly #socket: Socket;
  readonly #forwarding: Forwarding;
  readonly #keeper: ConnectionKeeper;
  #mode: Mode = 'head';
  /** Bytes that no head or body has taken yet. */
  #pending: Buffer | undefined;
  #exchange: Exchange | undefined;
  #body: BodyReader = new EmptyBody();
  #isPumping = false;
  #deadlineMs: number;

  constructor(socket: Socket, forwarding: Forwarding, keeper: ConnectionKeeper) {
    this.#socket = socket;
    this.#forwarding = forwarding;
    this.#keeper = keeper;
    this.address = plainAddress(socket.remoteAddress ?? '');
    this.#deadlineMs = forwarding.now() + forwarding.limits.requestHeadMs;
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.on('end', this.#onEnd);
    socket.on('error', ignoreError);
    socket.on('close', this.#onClose);
  }

  get mayBeKept(): boolean {
    return this.#keeper.mayKeep;
  }

  get isIdle(): boolean {
    return this.#mode === 'head' && this.#pending === undefined;
  }

  write(data: string | Buffer): boolean {
    return typeof data === 'string' ? this.#socket.write(data, 'latin1') : this.#socket.write(data);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** A fault of the router's own costs this one connection, and is reported. */
  failed(thrown: unknown): void {
    this.#keeper.failed(thrown);
    this.#socket.destroy();
  }

  /** The exchange's answer is out; `mayKeep`: the connection is ready for the next request. */
  answered(mayKeep: boolean): void {
    this.#exchange = undefined;
    if (!mayKeep) {
      this.#close();
      return;
    }
    this.#mode = 'head';
    this.#deadlineMs = this.#forwarding.now() + this.#forwarding.limits.idleClientMs;
    this.#socket.resume();
    this.#pump();
  }

  /** Answers from the router itself. */
  answerWith(page: Page, head: RequestHead, isRequestDone: boolean): void {
    const mayKeep = isRequestDone && head.keepAlive && head.minorVersion === 1 && this.mayBeKept;
    this.write(pageText(page, acceptIn(head.lines), mayKeep, head.method !== 'HEAD'));
    this.answered(mayKeep);
  }

  /** What came after the request that asked for an upgrade. */
  takeEarlyBytes(): Buffer | undefined {
    const early = this.#pending;
    this.#pending = undefined;
    return early;
  }

  surrender(): Socket {
    this.#mode = 'tunnel';
    this.#socket.off('data', this.#onData);
    this.#socket.off('drain', this.#onDrain);
    this.#socket.off('end', this.#onEnd);
    return this.#socket;
  }

  tunnelled(): void {
    this.#exchange = undefined;
    this.#deadlineMs = Number.POSITIVE_INFINITY;
  }

  /** Called about twice a second. */
  sweep(nowMs: number): void {
    if (this.#exchange !== undefined && nowMs >= this.#exchange.deadlineMs) {
      this.#exchange.expired();
      return;
    }
    if (nowMs < this.#deadlineMs) return;
    if (this.#mode === 'head' && this.#pending !== undefined) this.#refuse(PAGES.slowClient);
    else if (this.#mode === 'exchange') this.#requestBodyIsLate();
    else this.#socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      this.#take(chunk);
    } catch (thrown) {
      this.failed(thrown);
    }
  };

  readonly #onDrain = (): void => {
    this.#exchange?.clientDrained();
  };

  /** A client that closes its half before it was answered has gone away. */
  readonly #onEnd = (): void => {
    if (this.#mode === 'head') this.#socket.end();
    else if (this.#mode === 'exchange') this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#mode = 'closed';
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.abandon();
    this.#keeper.closed(this);
  };

  #take(chunk: Buffer): void {
    if (this.#mode === 'closing' || this.#mode === 'closed') return;
    if (this.#mode === 'exchange' && !this.#body.isDone) {
      this.#takeBody(chunk);
      return;
    }
    this.#pending = this.#pending === undefined ? chunk : Buffer.concat([this.#pending, chunk]);
    if (this.#mode === 'head') this.#pump();
    else if (this.#pending.length > EARLY_BYTES) this.#socket.pause();
  }

  /** Reads heads as long as there are any; never from within itself, however fast answers come. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (this.#mode === 'head' && this.#pending !== undefined && this.#readHead());
    } finally {
      this.#isPumping = false;
    }
  }

  /** False: the head is not whole yet, or was refused. */
  #readHead(): boolean {
    const pending = this.#pending && withoutLeadingLineBreaks(this.#pending);
    this.#pending = pending;
    if (pending === undefined) return false;
    const end = pending.indexOf(HEAD_END);
    const { requestHeadBytes, requestHeadMs } = this.#forwarding.limits;
    if (end > requestHeadBytes || (end === -1 && pending.length > requestHeadBytes)) {
      this.#refuse(badRequest(431, `its head is larger than ${requestHeadBytes} bytes`));
      return false;
    }
    if (end === -1) {
      if (hasBareLineFeed(pending)) this.#refuse(badRequest(400, 'a line ends without CR LF'));
      else this.#deadlineMs = Math.min(this.#deadlineMs, this.#forwarding.now() + requestHeadMs);
      return false;
    }
    const head = this.#parse(pending.toString('latin1', 0, end + 2));
    if (head === undefined) return false;
    const restAt = end + HEAD_END.length;
    this.#pending = undefined;
    this.#begin(head, restAt === pending.length ? undefined : pending.subarray(restAt));
    return true;
  }

  #parse(text: string): RequestHead | undefined {
    try {
      return readRequestHead(text);
    } catch (thrown) {
      if (!(thrown instanceof BadHead)) throw thrown;
      this.#refuse(badRequest(thrown.status, thrown.message)); // the client's fault; the page says so
      return undefined;
    }
  }

  #begin(head: RequestHead, rest: Buffer | undefined): void {
    this.#mode = 'exchange';
    this.#body = bodyReader(head.body);
    this.#deadlineMs = this.#body.isDone
      ? Number.POSITIVE_INFINITY
      : this.#forwarding.now() + this.#forwarding.limits.requestBodySilenceMs;
    const pool = this.#forwarding.table.poolFor(head.host, head.path);
    if (pool === undefined) {
      this.#pending = rest;
      this.answerWith(PAGES.noRoute, head, this.#body.isDone);
      return;
    }
    const exchange = new Exchange(this, this.#forwarding, head, pool);
    this.#exchange = exchange;
    exchange.start();
    if (rest === undefined) return;
    if (this.#exchange === exchange && !this.#body.isDone) this.#takeBody(rest);
    else this.#pending = rest; // thrown away where the connection is closing
  }

  #takeBody(chunk: Buffer): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    let to: number;
    try {
      to = this.#body.take(chunk, 0);
    } catch (thrown) {
      if (!(thrown instanceof BadHead)) throw thrown;
      this.#abandonFor(exchange, badRequest(thrown.status, thrown.message));
      return;
    }
    const { isDone } = this.#body;
    this.#deadlineMs = isDone
      ? Number.POSITIVE_INFINITY
      : this.#forwarding.now() + this.#forwarding.limits.requestBodySilenceMs;
    if (to < chunk.length) this.#pending = chunk.subarray(to);
    exchange.requestBody(to === chunk.length ? chunk : chunk.subarray(0, to), isDone);
  }

  #requestBodyIsLate(): void {
    // Paused by us, it is the instance that is late, and its own deadline that counts.
    if (this.#socket.isPaused()) return;
    if (this.#exchange !== undefined) this.#abandonFor(this.#exchange, PAGES.slowClient);
  }

  /** The instance sees a request that never became whole; the client the reason, where it still can. */
  #abandonFor(exchange: Exchange, page: Page): void {
    const isHeadOut = exchange.isAnswering;
    this.#exchange = undefined;
    exchange.abandon();
    if (isHeadOut) this.#socket.destroy();
    else this.#refuse(page);
  }

  /** Answers a request that cannot be read, and ends the connection: nothing after it can be trusted. */
  #refuse(page: Page): void {
    this.write(pageText(page, '', false, true));
    this.#close();
  }

  /** Ends our half, and reads the other one out for a while: closing at once could reset the answer away. */
  #close(): void {
    if (this.#mode === 'closed') return;
    this.#mode = 'closing';
    this.#pending = undefined;
    this.#deadlineMs = this.#forwarding.now() + this.#forwarding.limits.lingerMs;
    this.#socket.end();
    this.#socket.resume();
  }
}

/** IPv4 addresses as themselves, also where the listener speaks IPv6. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

/** An error is always followed by `close`, where it is dealt with. */
function ignoreError(): void {}
