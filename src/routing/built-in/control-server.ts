/** The router's side of its control socket. */
import { chmod, rm } from 'node:fs/promises';
import net from 'node:net';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import { readJsonLines } from './lines.ts';
import {
  type ControlRequest,
  envelopeSchema,
  PROTOCOL_VERSION,
  requestSchema,
  SPOKEN_ACROSS_VERSIONS,
} from './protocol.ts';

/** Carries out one request; what it resolves to is sent back. */
export type Serve = (request: ControlRequest) => Promise<unknown>;

export class ControlServer {
  readonly #server: net.Server;
  readonly #connections = new Set<net.Socket>();

  constructor(serve: Serve) {
    this.#server = net.createServer((socket) => {
      this.#connections.add(socket);
      socket.on('close', () => this.#connections.delete(socket));
      socket.on('error', () => socket.destroy()); // whoever asked learns it from the closed connection
      readJsonLines(socket, (value) => void answer(socket, value, serve));
    });
  }

  /** Replaces a socket file that a killed router left behind. */
  async listen(file: string): Promise<void> {
    await rm(file, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(file, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    await chmod(file, 0o600);
  }

  /** Takes no new connections, and removes the socket file; those that ask go on. */
  retire(): void {
    this.#server.close();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#connections) socket.end();
  }
}

async function answer(socket: net.Socket, value: unknown, serve: Serve): Promise<void> {
  const envelope = envelopeSchema.safeParse(value);
  if (!envelope.success) {
    socket.destroy();
    return;
  }
  const { id, version, op } = envelope.data;
  try {
    const result = await serve(read(value, version, op));
    send(socket, { id, ok: true, result: result ?? null });
  } catch (thrown) {
    const { code, message, next, retryable } = asKilnError(thrown);
    send(socket, { id, ok: false, error: { code, message, next, retryable } });
  }
}

function read(value: unknown, version: number, op: string): ControlRequest {
  if (version !== PROTOCOL_VERSION && !SPOKEN_ACROSS_VERSIONS.has(op)) {
    throw new KilnError(
      'server.protocol',
      `This router speaks control protocol ${PROTOCOL_VERSION}, and was asked in ${version}.`,
      { next: 'Upgrade the older side.' },
    );
  }
  const parsed = requestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new KilnError('router.rejected', `The router cannot read the request "${op}".`, {
    cause: parsed.error,
    next: 'Report this as a bug of Kiln.',
  });
}

function send(socket: net.Socket, reply: object): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
}
