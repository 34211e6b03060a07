/** Where commands in a sandbox say how far they are, and wait to be let on: they see no file of a test's. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

export interface Gate {
  /** What was said, in its order; heard before whoever says it goes on. */
  readonly heard: readonly string[];
  /** Shell commands: each says `what`, which a variable of the shell may be part of; or ends well once it is open. */
  readonly say: (what: string) => string;
  readonly isOpen: string;
  readonly wait: string;
  open(): void;
  close(): void;
}

export async function openGate(): Promise<Gate> {
  const heard: string[] = [];
  let open = false;
  const server = createServer(async (request, response) => {
    if (request.method === 'POST') heard.push(await text(request));
    response.writeHead(request.method === 'POST' || open ? 204 : 404).end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it listens on a port');
  const url = `http://127.0.0.1:${address.port}/`;
  const isOpen = `curl --silent --fail ${url}`;
  return {
    heard,
    say: (what) => `curl --silent --fail --data "${what}" ${url}`,
    isOpen,
    wait: `until ${isOpen}; do sleep 0.1; done`,
    open: () => {
      open = true;
    },
    close: () => void server.close(),
  };
}
