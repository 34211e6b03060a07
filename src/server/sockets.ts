/** The sockets: where the API listens, and which port a router gets. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { KilnError } from '../domain/errors.ts';
import { readIfThereSync } from '../files/durable-file.ts';
import type { Settings } from '../settings.ts';
import type { Listen } from '../settings-addresses.ts';

const CLOSE_LIMIT_MS = 3_000;
const PORTS_TRIED = 20;

export interface ApiServer {
  /** With the real port, where 0 was asked for. */
  readonly url: string;
  close(): Promise<void>;
}

export async function listenForApi(
  settings: Pick<Settings, 'listen' | 'tls'>,
  fetch: (request: Request) => Response | Promise<Response>,
): Promise<ApiServer> {
  const { listen, tls } = settings;
  const listener = getRequestListener(fetch);
  const server =
    tls === undefined
      ? createHttpServer(listener)
      : createHttpsServer(
          { cert: readFileSync(tls.certificateFile), key: readFileSync(tls.keyFile) },
          listener,
        );
  await bind(server, listen);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : listen.port;
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  return { url: `${tls === undefined ? 'http' : 'https'}://${host}:${port}`, close: () => close(server) };
}

/** Before anything is started that a failure would leave behind. */
export async function assertListenIsFree(listen: Listen): Promise<void> {
  const server = createTcpServer();
  await bind(server, listen);
  await new Promise((resolve) => server.close(resolve));
}

function bind(server: Pick<TcpServer, 'once' | 'off' | 'listen'>, { host, port }: Listen): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' && error.code !== 'EACCES') {
        reject(error);
        return;
      }
      const why = error.code === 'EACCES' ? 'needs more rights' : 'is taken by another process';
      reject(
        new KilnError('listen.taken', `${host}:${port} ${why}.`, {
          next: 'Give another address with --listen HOST:PORT, or stop what listens there.',
          cause: error,
        }),
      );
    });
    server.listen(port, host, () => resolve());
  });
}

/** Lets answers under way end; streams and what is slow are cut after the limit. */
async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_LIMIT_MS);
  await closed;
  clearTimeout(timer);
}

/**
 * The router outlives the server, so its port must stay the same from one start to the next: what was chosen
 * once is kept in a file. A port that nobody asked for gives way to one that is free.
 */
export async function routerListen(router: Settings['router'], file: string): Promise<Listen> {
  const { listen, portIsDefault } = router;
  if (!portIsDefault && listen.port !== 0) return listen;
  const chosen = readPort(file);
  if (chosen !== undefined) return { host: listen.host, port: chosen };
  const port = await freePort(listen, listen.port === 0 ? 1 : PORTS_TRIED);
  writeFileSync(file, `${port}\n`, { mode: 0o600 });
  return { host: listen.host, port };
}

function readPort(file: string): number | undefined {
  const port = Number(readIfThereSync(file)?.trim());
  return Number.isInteger(port) && port > 0 ? port : undefined;
}

async function freePort({ host, port }: Listen, tries: number): Promise<number> {
  for (let offset = 0; offset < tries; offset += 1) {
    const found = await tryPort({ host, port: port === 0 ? 0 : port + offset });
    if (found !== undefined) return found;
  }
  throw new KilnError('listen.taken', `No port from ${port} to ${port + tries - 1} is free for the router.`, {
    next: 'Give one with --router-listen HOST:PORT.',
  });
}

function tryPort({ host, port }: Listen): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createTcpServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, host, () => {
      const address = server.address();
      const found = typeof address === 'object' && address !== null ? address.port : port;
      server.close(() => resolve(found));
    });
  });
}
