/**
 * Speaks with one repository of a registry: answers what it asks for (basic or bearer), follows it elsewhere, and
 * names its failures. What may pass (a lost connection, 5xx, 429) is `registry.unreachable`; its "no" is
 * `registry.refused`.
 */
import { z } from 'zod';
import { KilnError } from '../domain/errors.ts';
import { parseChallenge } from './challenge.ts';
import type { FindCredentials } from './credentials.ts';
import {
  Connections,
  type ExchangeAnswer,
  type ExchangeRequest,
  type Outgoing,
  readAnswer,
  unreachable,
} from './exchange.ts';
import type { RepositoryAddress } from './reference.ts';

export interface Ask {
  readonly method: ExchangeRequest['method'];
  /** Below `/v2/NAME/`, or where the registry said to go. */
  readonly to: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Outgoing;
}

const REDIRECTS = 5;
const TEXT_LIMIT_BYTES = 1024 * 1024;
const LONGEST_WAIT_ASKED_MS = 30_000;

const tokenSchema = z.object({ token: z.string().optional(), access_token: z.string().optional() });
const errorsSchema = z.object({
  errors: z.array(z.object({ code: z.string(), message: z.string().optional() })).min(1),
});

export class Session {
  readonly address: RepositoryAddress;
  readonly #credentials: FindCredentials;
  readonly #connections = new Connections();
  #authorization: string | undefined;

  constructor(address: RepositoryAddress, credentials: FindCredentials) {
    this.address = address;
    this.#credentials = credentials;
  }

  /** The answer of status below 500 and not 401, 403 or 429; its body is the caller's to read or destroy. */
  async ask(ask: Ask, signal: AbortSignal): Promise<ExchangeAnswer> {
    const url = this.urlOf(ask.to);
    let answer = await this.#follow(ask, url, signal);
    if (answer.status === 401) {
      const challenge = oneHeader(answer, 'www-authenticate');
      answer.body.destroy();
      this.#authorization = await this.#authorize(challenge, signal);
      answer = await this.#follow(ask, url, signal);
    }
    if (answer.status === 401 || answer.status === 403) throw await this.#notLetIn(answer, url, signal);
    if (answer.status === 429 || answer.status >= 500) throw await busy(answer, url, signal);
    return answer;
  }

  /** The same, for answers that are short; `accept`: statuses that are fine. */
  async askShort(
    ask: Ask,
    accept: readonly number[],
    limitBytes: number,
    signal: AbortSignal,
  ): Promise<{ readonly answer: ExchangeAnswer; readonly body: Buffer }> {
    const answer = await this.ask(ask, signal);
    const url = this.urlOf(ask.to);
    const body = await readAnswer(answer, url, limitBytes, signal);
    if (!accept.includes(answer.status)) throw refused(answer.status, url, body);
    return { answer, body };
  }

  /** Where an answer's `Location` leads. */
  locationOf(answer: ExchangeAnswer, asked: string | URL): URL {
    const location = oneHeader(answer, 'location');
    const url = location === undefined ? undefined : URL.parse(location, this.urlOf(asked).href);
    if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
    throw refused(answer.status, this.urlOf(asked), Buffer.from('it did not say where to go on'));
  }

  urlOf(to: string | URL): URL {
    return to instanceof URL ? to : new URL(`/v2/${this.address.name}/${to}`, this.address.origin);
  }

  close(): void {
    this.#connections.close();
  }

  async #follow(ask: Ask, url: URL, signal: AbortSignal): Promise<ExchangeAnswer> {
    let at = url;
    for (let hop = 0; hop <= REDIRECTS; hop += 1) {
      // What lets us in here is nobody else's business: storage elsewhere has its own signature in the address.
      const own = at.origin === this.address.origin;
      const headers = {
        'user-agent': 'kiln',
        ...ask.headers,
        ...(own && this.#authorization !== undefined ? { authorization: this.#authorization } : {}),
      };
      const answer = await this.#connections.exchange({
        method: ask.method,
        url: at,
        headers,
        ...(ask.body === undefined ? {} : { body: ask.body }),
        signal,
      });
      if (![301, 302, 303, 307, 308].includes(answer.status)) return answer;
      answer.body.destroy();
      at = this.locationOf(answer, at);
    }
    throw refused(310, url, Buffer.from('it sends us around in circles'));
  }

  async #authorize(header: string | undefined, signal: AbortSignal): Promise<string | undefined> {
    const challenge = parseChallenge(header);
    const login = await this.#credentials(this.address.host);
    const basic =
      login === undefined
        ? undefined
        : `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`;
    if (challenge?.scheme !== 'bearer') return challenge === undefined ? undefined : basic;
    const url = new URL(challenge.realm);
    // A login goes over plain HTTP only where the registry itself is spoken to so.
    const mayLogIn = url.protocol === 'https:' || this.address.origin.startsWith('http:');
    if (challenge.service !== undefined) url.searchParams.set('service', challenge.service);
    url.searchParams.set('scope', challenge.scope ?? `repository:${this.address.name}:pull,push`);
    const answer = await this.#connections.exchange({
      method: 'GET',
      url,
      headers: basic === undefined || !mayLogIn ? {} : { authorization: basic },
      signal,
    });
    if (answer.status === 429 || answer.status >= 500) throw await busy(answer, url, signal);
    if (answer.status !== 200) throw await this.#notLetIn(answer, url, signal);
    const parsed = tokenSchema.safeParse(jsonOf(await readAnswer(answer, url, TEXT_LIMIT_BYTES, signal)));
    const token = parsed.data?.token ?? parsed.data?.access_token;
    return token === undefined ? undefined : `Bearer ${token}`;
  }

  async #notLetIn(answer: ExchangeAnswer, url: URL, signal: AbortSignal): Promise<KilnError> {
    const said = sayingOf(await readAnswer(answer, url, TEXT_LIMIT_BYTES, signal));
    const { host, name } = this.address;
    return new KilnError('registry.refused', `The registry ${host} does not let us at ${name}${said}.`, {
      next: `Log in as the user that runs Kiln's server: docker login ${host}`,
      details: { status: answer.status },
    });
  }
}

export function refused(status: number, url: URL, body: Buffer): KilnError {
  return new KilnError(
    'registry.refused',
    `The registry ${url.host} answered ${status} to ${url.pathname}${sayingOf(body)}.`,
    { next: 'See what the registry logged.', details: { status } },
  );
}

async function busy(answer: ExchangeAnswer, url: URL, signal: AbortSignal): Promise<KilnError> {
  const said = sayingOf(await readAnswer(answer, url, TEXT_LIMIT_BYTES, signal));
  const seconds = Number(oneHeader(answer, 'retry-after') ?? 0);
  const retryAfterMs = Number.isFinite(seconds) ? Math.min(seconds * 1000, LONGEST_WAIT_ASKED_MS) : 0;
  const cause = unreachable(url, new Error(`it answered ${answer.status}${said}`));
  return new KilnError('registry.unreachable', cause.message, {
    ...(cause.next === undefined ? {} : { next: cause.next }),
    retryable: true,
    details: { status: answer.status, retryAfterMs },
  });
}

/** `: manifest unknown`, when the registry says so in the words of the specification. */
function sayingOf(body: Buffer): string {
  const parsed = errorsSchema.safeParse(jsonOf(body));
  const first = parsed.data?.errors[0];
  if (first === undefined) return '';
  return `: ${(first.message ?? first.code).slice(0, 200)}`;
}

export function oneHeader({ headers }: ExchangeAnswer, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    // Not JSON: whoever reads it finds none of what it looks for.
    return undefined;
  }
}
