/**
 * A Docker engine whose BuildKit is turned off, as `{"features": {"buildkit": false}}` in its daemon.json does: the real
 * one behind a way that opens no session, and says so unless it is told not to.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DOCKER_SOCKET } from './docker.ts';

export interface PlainEngine {
  readonly socketPath: string;
  close(): Promise<void>;
}

export async function plainEngine({ says = true } = {}): Promise<PlainEngine> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kiln-engine-'));
  const socketPath = path.join(folder, 'docker.sock');
  const server = createServer((incoming, answer) => {
    const { method, url, headers } = incoming;
    const outgoing = request({ socketPath: DOCKER_SOCKET, method, path: url, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, {
        ...response.headers,
        ...(says ? { 'builder-version': '1' } : {}),
      });
      response.pipe(answer);
      response.once('error', () => answer.destroy());
    });
    outgoing.once('error', () => answer.destroy());
    answer.once('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  // No session: BuildKit answers to nobody.
  server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'));
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    socketPath,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
