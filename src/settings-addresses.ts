/** Addresses in settings: where a server listens, and where it is reached. */
import { KilnError } from './domain/errors.ts';
import { isLoopback } from './domain/loopback.ts';

export const DEFAULT_LISTEN = '127.0.0.1:7070';

export interface Listen {
  readonly host: string;
  readonly port: number;
}

/** `HOST:PORT` or `[IPv6]:PORT`. */
export function parseListen(text: string, name: string): Listen {
  const match = /^(?:\[(?<six>[0-9a-fA-F:]+)\]|(?<host>[^:\s]+)):(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.port);
  const host = match?.groups?.six ?? match?.groups?.host;
  if (host === undefined || port > 65_535) {
    throw new KilnError('input.invalid', `"${text}" is not an address for ${name}.`, {
      next: `Give HOST:PORT, such as ${DEFAULT_LISTEN}.`,
    });
  }
  return { host, port };
}

/** Tokens travel there: in the clear only within this machine. */
export function parsePeerUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname));
  if (url !== undefined && isSafe && url.pathname === '/' && url.username === '') return url.origin;
  throw new KilnError('input.invalid', `"${text}" is no address that other servers can reach this one at.`, {
    next: 'Set KILN_PEER_URL to https://HOST:PORT; http:// will do on loopback only.',
  });
}
