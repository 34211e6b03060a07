/**
 * One request and its answer.
 *
 *   choosing                                   an endpoint is searched for, or waited for (endpoint-search.ts)
 *   choosing → connecting → sent → answering → ended
 *                                sent → tunnel (the client connection lives on without the exchange)
 *   connecting | sent → choosing               refused, or closed on reuse before a byte of an answer came
 *
 * What must hold: while it has an endpoint it is counted there, exactly once; no byte of a body is sent before
 * the connection stands, so a refused request has sent nothing and may go elsewhere, whatever its method;
 * once anything was sent, only a safe request is sent again; once the answer's head is out, a failure can only
 * cut the client, for a short body must not look whole.
 */

import { AnswerBody, writeWithHead } from './answer-body.ts';
import { AnswerHeads } from './answer-heads.ts';
import type { InFlight, RoutedEndpointState } from './endpoint.ts';
import { EndpointSearch, type Seeker } from './endpoint-search.ts';
import type { Downstream, Forwarding } from './forwarding.ts';
import { BadHead } from './head-text.ts';
import { PAGES, type Page } from './pages.ts';
import type { PoolState } from './pool.ts';
import { isSafeToRepeat, type RequestHead, upstreamRequestText } from './request-head.ts';
import { clientResponseText, type ResponseHead } from './response-head.ts';
import { Tunnel } from './tunnel.ts';
import { connectionTo, type UpstreamConnection, type UpstreamUser } from './upstream-connection.ts';

type Mode = 'choosing' | 'connecting' | 'sent' | 'answering' | 'ended';

export class Exchange implements UpstreamUser, InFlight, Seeker {
  readonly #client: Downstream;
  readonly #forwarding: Forwarding;
  readonly #head: RequestHead;
  readonly #search: EndpointSearch;
  readonly #heads: AnswerHeads;
  #mode: Mode = 'choosing';
  #upstream: UpstreamConnection | undefined;
  /** Set together with the connection. */
  #endpoint: RoutedEndpointState | undefined;
  #onlyNew = false;
  /** Pieces of the request's body that came before the connection stood. */
  #backlog: Buffer[] = [];
  #isRequestDone: boolean;
  #response: ResponseHead | undefined;
  #responseBody: AnswerBody | undefined;
  #keepsClient = false;
  /** Compared by the client connection's sweep. */
  deadlineMs = Number.POSITIVE_INFINITY;

  constructor(client: Downstream, forwarding: Forwarding, head: RequestHead, pool: PoolState) {
    this.#client = client;
    this.#forwarding = forwarding;
    this.#head = head;
    this.#search = new EndpointSearch(this, forwarding, pool);
    this.#heads = new AnswerHeads(head.method, forwarding.limits.responseHeadBytes);
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

  #choose(): void {
    this.#mode = 'choosing';
    this.#search.next();
  }

  found(endpoint: RoutedEndpointState): void {
    this.#connect(endpoint);
  }

  notFound(page: Page): void {
    this.#fail(page);
  }

  #connect(endpoint: RoutedEndpointState): void {
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
    this.#heads.take(chunk);
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
    const isSilent = this.#mode === 'sent' && this.#heads.isEmpty;
    if (isSilent && upstream.isReused && isSafeToRepeat(this.#head) && this.#search.mayTryAgain) {
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
    this.#mode = 'choosing';
    this.#search.nextInsteadOf(endpoint, page);
  }

  /** Reads heads until the final one; interim ones (100, 103) are passed on. */
  #readHeads(): void {
    for (;;) {
      const next = this.#heads.next();
      if (next === 'incomplete') return;
      if (next === 'broken') {
        this.#fail(PAGES.brokenAnswer);
        return;
      }
      const { response, received, restAt } = next;
      if (response.status === 101) {
        this.#becomeTunnel(response, received.subarray(restAt));
        return;
      }
      if (response.status >= 200) {
        this.#answer(response, received, restAt);
        return;
      }
      if (this.#head.minorVersion === 1) {
        this.#client.write(clientResponseText(response, { minorVersion: 1, keepAlive: true }));
      }
    }
  }

  #answer(response: ResponseHead, received: Buffer, bodyAt: number): void {
    this.#mode = 'answering';
    this.#response = response;
    this.#responseBody = new AnswerBody(response, this.#head.minorVersion);
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
    let taken: ReturnType<AnswerBody['take']>;
    try {
      taken = body.take(chunk, from);
    } catch (thrown) {
      if (!(thrown instanceof BadHead)) throw thrown;
      this.#mode = 'answering'; // its chunks are malformed: the client must not see a whole message
      this.#fail(PAGES.brokenAnswer);
      return;
    }
    if (!writeWithHead(this.#client, headText, taken.piece) && !body.isDone) this.#upstream?.pause();
    if (body.isDone) this.#finish(taken.to === chunk.length);
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
    this.#search.stop();
    this.#backlog = [];
  }

  #letGo(mayReuse: boolean): void {
    const upstream = this.#upstream;
    const endpoint = this.#endpoint;
    if (upstream === undefined) return;
    this.#upstream = undefined;
    this.#endpoint = undefined;
    this.#heads.clear();
    if (mayReuse) upstream.rest(this.#forwarding.now(), this.#response?.keepAliveTimeoutMs);
    else upstream.destroy();
    endpoint?.end(this);
  }

  #touch(): void {
    this.deadlineMs = this.#forwarding.now() + this.#forwarding.limits.instanceSilenceMs;
  }
}
