/** Where the server may listen: beyond loopback only with TLS, since every call carries a token. */
import { KilnError } from '../domain/errors.ts';
import { isLoopback } from '../domain/loopback.ts';

export interface ListenSettings {
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
}

export function checkListen(settings: ListenSettings): void {
  const { host, port, tls } = settings;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new KilnError('input.invalid', `${port} is not a port.`, {
      next: 'Give HOST:PORT with a port from 0 to 65535; 0 takes a free one.',
    });
  }
  if (isLoopback(host) || tls !== undefined) return;
  throw new KilnError(
    'input.invalid',
    `Listening on ${host} without TLS would show every token to the network.`,
    {
      next: 'Give a certificate and key (KILN_TLS_CERT, KILN_TLS_KEY), or listen on 127.0.0.1 behind a proxy that has TLS.',
    },
  );
}
