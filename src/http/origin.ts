/**
 * Against pages of other sites that make a browser call this server: by DNS rebinding (the Host header is then
 * the attacker's name) or directly (Origin is then the attacker's). Both are checked before anything else.
 */
import { KilnError } from '../domain/errors.ts';

const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

export function assertHostAndOrigin(
  host: string | undefined,
  origin: string | undefined,
  configured: readonly string[],
): void {
  const name = host === undefined ? undefined : hostName(host);
  if (name === undefined || !(LOOPBACK_NAMES.includes(name) || configured.includes(name))) {
    throw new KilnError('auth.origin', `This server does not go by the name "${host ?? ''}".`, {
      next: 'Call it by a name it knows: localhost, 127.0.0.1, [::1], or one named in KILN_HOSTS.',
    });
  }
  if (origin !== undefined && !sameOrigin(origin, host)) {
    throw new KilnError('auth.origin', `Pages of ${origin.slice(0, 200)} may not call this server.`, {
      next: 'Call it from its own page, or from a program that sends no Origin header.',
    });
  }
}

function hostName(host: string): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec(host.toLowerCase())?.[1];
}

/** TLS may end before this server, so the scheme is not compared; name and port are. */
function sameOrigin(origin: string, host: string | undefined): boolean {
  const parsed = URL.canParse(origin) ? new URL(origin) : undefined;
  return parsed !== undefined && /^https?:$/.test(parsed.protocol) && parsed.host === host?.toLowerCase();
}
