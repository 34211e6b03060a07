/**
 * Machines in namespaces, where there is no Docker: each an unpacked root filesystem of its own, with nothing of this
 * machine but its kernel and, where its process listens, its network. What still runs when Kiln is killed, the kernel
 * ends; folders go with the next sweep.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { KilnError } from '../../../domain/errors.ts';
import type { RunOnceResult } from '../../../domain/ports/target.ts';
import type { Endpoint } from '../../../domain/server-group.ts';
import { namesIn } from '../../../files/names-in.ts';
import type { Inside } from '../chroot/namespace.ts';
import { Rootfs, type RootfsParts } from '../chroot/rootfs.ts';
import type { BootedMachine, BootWish, Command, MachineRoom } from './booted-machine.ts';
import { innerEnvironment } from './inner-environment.ts';

const LOOPBACK = '127.0.0.1';
const PROBE_LIMIT_MS = 60_000;
const SHOWN_LINES = 3;

/** Of the room, whose folder is there: each machine has a folder of its own in it, and each command a mark that begins with the room's. */
export type BubblewrapParts = Omit<RootfsParts, 'logFile' | 'onLine'>;

export class BubblewrapRoom implements MachineRoom {
  readonly #parts: BubblewrapParts;
  readonly #machines: BubblewrapMachine[] = [];
  #archive = '';

  constructor(parts: BubblewrapParts) {
    this.#parts = parts;
  }

  async open(archive: string): Promise<void> {
    this.#archive = archive;
  }

  async boot({ name, listens, files }: BootWish, signal: AbortSignal): Promise<BootedMachine> {
    const folder = path.join(this.#parts.folder, name);
    const shown = await Promise.all(
      files.map(async ({ path: to, content }, index) => {
        const from = path.join(folder, `file-${index}`);
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await writeFile(from, content, { mode: 0o444 });
        return { from, to: path.posix.resolve('/', to) };
      }),
    );
    const parts = { ...this.#parts, folder, mark: `${this.#parts.mark}.${name}` };
    const listen = { host: LOOPBACK, port: listens ? await freePort() : 0 };
    const machine = new BubblewrapMachine(parts, { shown, network: listens }, listen);
    this.#machines.push(machine);
    await machine.boot(this.#archive, signal);
    return machine;
  }

  async close(): Promise<void> {
    for (const machine of this.#machines) await machine.end();
    await removeUnpackedMachines(this.#parts);
  }
}

/** The root filesystems of a room, and its folder. Nothing runs in them any more. */
export async function removeUnpackedMachines(parts: BubblewrapParts): Promise<void> {
  for (const name of await namesIn(parts.folder)) {
    const folder = path.join(parts.folder, name);
    if (!(await namesIn(folder)).includes('root')) continue;
    const logFile = path.join(parts.folder, 'removal.log');
    await new Rootfs({ ...parts, folder, logFile, onLine: () => undefined }).remove();
  }
  await rm(parts.folder, { recursive: true, force: true });
}

class BubblewrapMachine implements BootedMachine {
  readonly listen: Endpoint;
  readonly #parts: BubblewrapParts;
  readonly #inside: Omit<Inside, 'root' | 'freshTemp'>;
  readonly #rootfs: Rootfs;
  readonly #ending = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #commands = 0;

  constructor(parts: BubblewrapParts, inside: Omit<Inside, 'root' | 'freshTemp'>, listen: Endpoint) {
    this.#parts = parts;
    this.#inside = inside;
    this.listen = listen;
    this.#rootfs = this.#view(() => undefined);
  }

  async boot(archive: string, signal: AbortSignal): Promise<void> {
    await this.#rootfs.open();
    await this.#rootfs.unpack(archive, signal);
    const probe: Command = { line: 'true', environment: {}, timeoutMs: PROBE_LIMIT_MS };
    const { exitCode, logTail } = await this.run(probe, signal);
    if (exitCode === 0) return;
    throw new KilnError(
      'image.unfit',
      `Nothing can be run in the machine: ${logTail.slice(-SHOWN_LINES).join(' ')}`,
      { next: 'Give the image a /bin/sh for this architecture.' },
    );
  }

  async run(command: Command, signal: AbortSignal): Promise<RunOnceResult> {
    const running = this.#run(command, AbortSignal.any([signal, this.#ending.signal]));
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  endpoint(): Promise<Endpoint | undefined> {
    return listening(this.listen);
  }

  async end(): Promise<void> {
    this.#ending.abort(new KilnError('aborted', 'The machine is being shut down.'));
    await Promise.allSettled(this.#running);
  }

  async #run(command: Command, signal: AbortSignal): Promise<RunOnceResult> {
    const { onLine = () => undefined } = command;
    const inside: Inside = { ...this.#inside, root: this.#rootfs.root, freshTemp: false };
    const environment = innerEnvironment(command);
    const { exitCode, tail } = await this.#view(onLine).inside(
      inside,
      command.line,
      command.timeoutMs,
      signal,
      environment,
    );
    return { exitCode, logTail: tail };
  }

  /** With a log and a mark of its own: what ends with one command must not end another. */
  #view(onLine: (line: string) => void): Rootfs {
    this.#commands += 1;
    const { folder, mark } = this.#parts;
    const logFile = path.join(folder, `log-${this.#commands}`);
    return new Rootfs({ ...this.#parts, mark: `${mark}.${this.#commands}.`, logFile, onLine });
  }
}

/** Chosen a moment before it is used: whoever takes it meanwhile fails the boot, which says so. */
async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.once('error', reject);
  server.listen({ port: 0, host: LOOPBACK, exclusive: true }, () => {
    const address = server.address();
    server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
  });
  return promise;
}

function listening({ host, port }: Endpoint): Promise<Endpoint | undefined> {
  const { promise, resolve } = Promise.withResolvers<Endpoint | undefined>();
  const socket = connect({ host, port });
  socket.once('connect', () => resolve({ host, port }));
  socket.once('error', () => resolve(undefined)); // Not yet, whatever the reason.
  return promise.finally(() => socket.destroy());
}
