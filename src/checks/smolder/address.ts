/** Where the tests of a file are sent. */
import { KilnError } from '../../domain/errors.ts';
import type { Endpoint } from '../../domain/server-group.ts';
import type { Protocol, SmokeTest } from './test-file.ts';

export type CheckAddress =
  /** As Smolder takes it: `port` and `protocol` stand in only where a test names none. */
  | {
      readonly kind: 'host';
      readonly host: string;
      readonly port?: number;
      readonly protocol?: 'http' | 'https';
    }
  /**
   * Every test goes to this endpoint, whatever port it names: an instance, or a router. An https test is sent as
   * http with `X-Forwarded-Proto: https`, since TLS ends before the endpoint. With `routeHosts`, the Host header is
   * the first of them, unless a test's own is another of them.
   */
  | { readonly kind: 'endpoint'; readonly endpoint: Endpoint; readonly routeHosts?: readonly string[] };

const DEFAULT_PORTS: Readonly<Record<Exclude<Protocol, 'tcp'>, number>> = {
  http: 80,
  https: 443,
  ldap: 389,
  ldaps: 636,
};

export interface Destination {
  readonly protocol: Protocol;
  readonly host: string;
  readonly port: number;
  /** True: an https test goes over plain HTTP to where TLS has already ended. */
  readonly tlsEndedBefore: boolean;
}

export function destinationOf(test: SmokeTest, address: CheckAddress): Destination {
  if (address.kind === 'endpoint') {
    const written = test.protocol ?? 'http';
    return {
      protocol: written === 'https' ? 'http' : written,
      ...address.endpoint,
      tlsEndedBefore: written === 'https',
    };
  }
  const protocol = test.protocol ?? address.protocol ?? 'http';
  const own = protocol === 'tcp' ? 80 : DEFAULT_PORTS[protocol];
  return { protocol, host: address.host, port: test.port ?? address.port ?? own, tlsEndedBefore: false };
}

/** `http://host:port`; an IPv6 address gets its brackets. */
export function originOf({ protocol, host, port }: Destination): string {
  return `${protocol}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** `host`, `host:port`, `[::1]:port` or `http(s)://host:port`, as on the command line. */
export function parseHost(text: string): CheckAddress {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text);
  const protocol = scheme?.[1]?.toLowerCase();
  if (protocol !== undefined && protocol !== 'http' && protocol !== 'https') return refuseHost(text);
  const bareIpv6 = scheme === null && /^[0-9a-f:]+$/i.test(text) && text.split(':').length > 2;
  const rest = bareIpv6 ? `[${text}]` : text.slice(scheme?.[0].length ?? 0);
  const parts = /^(\[[0-9a-f:.]+\]|[^\s:/?#@[\]]+)(?::(\d{1,5}))?\/?$/i.exec(rest);
  const host = parts?.[1]?.replace(/^\[|\]$/g, '');
  const port = parts?.[2] === undefined ? undefined : Number(parts[2]);
  if (host === undefined || (port !== undefined && (port < 1 || port > 65_535))) return refuseHost(text);
  return {
    kind: 'host',
    host,
    ...(port === undefined ? {} : { port }),
    ...(protocol === undefined ? {} : { protocol }),
  };
}

function refuseHost(text: string): never {
  // Whatever stands before an @ may be a password.
  throw new KilnError('input.invalid', `"${text.replace(/^.*@/, '***@')}" is not a host to check.`, {
    next: 'Give a host name or address, with a port or http(s):// where wanted; credentials go into inputs.auth.',
  });
}
