/**
 * Whom the page acts for. A code in the address (`#code=…`, from `kiln open`) is exchanged at once for a token of
 * the page's own and leaves the address; the token lives as long as the tab, and no longer than twelve hours.
 */

import { type Client, createClient } from '../src/api/client.ts';
import type { Answer } from '../src/api/contract.ts';
import { fetchTransport } from '../src/api/transport.ts';

const KEY = 'kiln.session';
const PATIENCE_MS = 10_000;

export type Session = Answer<'page.session'> & { readonly secret: string };

export function clientFor(token: string | undefined): Client {
  return createClient({
    transport: fetchTransport(fetch.bind(globalThis)),
    url: '',
    ...(token === undefined ? {} : { token }),
    patienceMs: PATIENCE_MS,
    now: () => performance.now(),
    sleep: (ms, signal) => sleep(ms, signal),
    newKey: () => crypto.randomUUID(),
  });
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

export function keptSession(nowMs: number): Session | undefined {
  const text = sessionStorage.getItem(KEY);
  if (text === null) return undefined;
  const session: Session = JSON.parse(text);
  return session.expiresAtMs > nowMs ? session : undefined;
}

/** Takes the code out of the address, so that it is neither kept in the history nor copied along. */
export function takeCode(): string | undefined {
  const code = /^#code=([\w-]+)$/.exec(location.hash)?.[1];
  if (code !== undefined) history.replaceState(null, '', '#/');
  return code;
}

/** `credential`: a code, or a token that somebody pasted. */
export async function signIn(credential: string): Promise<Session> {
  const answer = await clientFor(credential).call('page.session', {});
  const session: Session = { ...answer, secret: answer.secret ?? '' };
  sessionStorage.setItem(KEY, JSON.stringify(session));
  return session;
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
}
