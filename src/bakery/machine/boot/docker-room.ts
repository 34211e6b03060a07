/**
 * Machines as containers: the root filesystem is imported into the Docker engine, and each machine is a container of
 * it whose first process only waits; all else is started inside, as on a machine that has booted. Containers and image
 * carry the room's name, by which a later server finds what a crash has left.
 */
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { outputLines } from '../../../docker/container-output.ts';
import { type EngineClient, filters, isRefusal } from '../../../docker/engine-client.ts';
import { KilnError } from '../../../domain/errors.ts';
import type { RunOnceResult } from '../../../domain/ports/target.ts';
import type { Endpoint } from '../../../domain/server-group.ts';
import type { BootedMachine, BootWish, Command, MachineRoom } from './booted-machine.ts';
import { innerEnvironment } from './inner-environment.ts';

const LABEL = 'kiln.machine-check';
const REPOSITORY = 'kiln-machine-check';
const IMPORT_LIMIT_MS = 15 * 60_000;
const CLOSE_LIMIT_MS = 120_000;
const PROBE_LIMIT_MS = 60_000;
const ENDING_MS = 5_000;
const POLL_MS = 50;
const ANY_ADDRESS = '0.0.0.0';
const FALLBACK_PORT = 8080;
const TAIL_LINES = 200;
const SHOWN_LINES = 3;
/** Until the container is removed: nobody ever writes to it. Needs no program but the shell. */
const WAITING = ['/bin/sh', '-c', 'read -r _'];

const idsShape = z.array(z.object({ Id: z.string() }));
const idShape = z.object({ Id: z.string() });
const stateShape = z.object({ State: z.object({ Running: z.boolean() }) });
const execShape = z.object({ ExitCode: z.number().nullable() });
const portsShape = z.object({
  NetworkSettings: z.object({
    Ports: z.record(z.string(), z.array(z.object({ HostPort: z.string() })).nullable()),
  }),
});

export interface DockerRoomParts {
  readonly client: EngineClient;
  /** Unlike that of any other room, in lower case. */
  readonly name: string;
  /** Absolute, and there; for the files that are put into machines. */
  readonly folder: string;
}

export class DockerRoom implements MachineRoom {
  readonly #parts: DockerRoomParts;

  constructor(parts: DockerRoomParts) {
    this.#parts = parts;
  }

  async open(archive: string, signal: AbortSignal): Promise<void> {
    const { client, name } = this.#parts;
    const query = { fromSrc: '-', repo: REPOSITORY, tag: name, changes: `LABEL ${LABEL}=${name}` };
    const body = createReadStream(archive, { highWaterMark: 1 << 20 });
    const limitMs = IMPORT_LIMIT_MS;
    await client.send({ method: 'POST', path: '/images/create', query, body, signal, limitMs });
    // A failure in the middle stands in the answer's text, below a status that says all is well.
    await client.send({ method: 'GET', path: `/images/${this.#image}/json`, signal });
  }

  async boot({ name, port, files }: BootWish, signal: AbortSignal): Promise<BootedMachine> {
    const { client, folder } = this.#parts;
    const mounts = await Promise.all(
      files.map(async (file, index) => {
        const from = path.join(folder, `${name}-file-${index}`);
        await writeFile(from, file.content, { mode: 0o444 });
        return { Type: 'bind', Source: from, Target: path.posix.resolve('/', file.path), ReadOnly: true };
      }),
    );
    const listened = port ?? FALLBACK_PORT;
    const { Id } = await client.json(idShape, {
      method: 'POST',
      path: '/containers/create',
      body: machineBody({ image: this.#image, label: this.#parts.name, mounts, port: listened }),
      signal,
    });
    const machine = new DockerMachine(client, Id, listened);
    await machine.boot(signal);
    return machine;
  }

  close(): Promise<void> {
    return removeMachines(this.#parts.client, this.#parts.name);
  }

  get #image(): string {
    return `${REPOSITORY}:${this.#parts.name}`;
  }
}

/** Containers and image of a room. Fails with `target.unavailable` when the engine does not answer. */
export async function removeMachines(client: EngineClient, room: string): Promise<void> {
  const signal = AbortSignal.timeout(CLOSE_LIMIT_MS);
  const labelled = filters({ label: [`${LABEL}=${room}`] });
  for (const [kind, query] of [
    ['containers', { ...labelled, all: '1' }],
    ['images', labelled],
  ] as const) {
    const found = await client.json(idsShape, { method: 'GET', path: `/${kind}/json`, query, signal });
    for (const { Id } of found) {
      const forced = { force: '1', ...(kind === 'containers' ? { v: '1' } : {}) };
      await client
        .send({ method: 'DELETE', path: `/${kind}/${Id}`, query: forced, signal })
        .catch((error: unknown) => {
          if (!isRefusal(error, 404)) throw error;
        });
    }
  }
}

/** The body of `POST /containers/create`. The machine writes where it likes: it is there for the check alone. */
function machineBody(of: {
  readonly image: string;
  readonly label: string;
  readonly mounts: readonly object[];
  readonly port: number;
}): object {
  return {
    Image: of.image,
    Entrypoint: WAITING,
    Cmd: [],
    OpenStdin: true,
    Labels: { [LABEL]: of.label },
    ExposedPorts: { [`${of.port}/tcp`]: {} },
    HostConfig: {
      Init: true,
      Mounts: of.mounts,
      RestartPolicy: { Name: 'no' },
      PortBindings: { [`${of.port}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: '' }] },
    },
  };
}

class DockerMachine implements BootedMachine {
  readonly listen: Endpoint;
  readonly #client: EngineClient;
  readonly #id: string;

  constructor(client: EngineClient, id: string, port: number) {
    this.#client = client;
    this.#id = id;
    this.listen = { host: ANY_ADDRESS, port };
  }

  async boot(signal: AbortSignal): Promise<void> {
    try {
      await this.#client.send({ method: 'POST', path: `/containers/${this.#id}/start`, signal });
      const probe: Command = { line: 'true', environment: {}, timeoutMs: PROBE_LIMIT_MS };
      const { exitCode, logTail } = await this.run(probe, signal);
      if (exitCode === 0) return;
      throw unfit(logTail.slice(-SHOWN_LINES).join(' '));
    } catch (error) {
      // Without a shell the first process ends at once; what is started beside it then fails in one way or another.
      const isRefused = error instanceof KilnError && error.code === 'target.rejected';
      if (isRefused && (await this.#hasEnded(signal))) throw unfit(error.message);
      throw error;
    }
  }

  /** It may be about to. */
  async #hasEnded(signal: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + ENDING_MS;
    for (;;) {
      const request = { method: 'GET', path: `/containers/${this.#id}/json`, signal } as const;
      const { State } = await this.#client.json(stateShape, request);
      if (!State.Running) return true;
      if (performance.now() > deadline) return false;
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  async run(command: Command, signal: AbortSignal): Promise<RunOnceResult> {
    const limit = AbortSignal.timeout(command.timeoutMs);
    const both = AbortSignal.any([signal, limit]);
    try {
      return await this.#exec(command, both);
    } catch (error) {
      signal.throwIfAborted();
      if (!limit.aborted) throw error;
      // What it had begun goes on until the machine is removed.
      throw new KilnError('timeout', `It was not done within ${command.timeoutMs / 1000} s.`, {
        cause: error,
      });
    }
  }

  async endpoint(signal: AbortSignal): Promise<Endpoint | undefined> {
    const { port } = this.listen;
    const looking: Command = { line: listensScript(port), environment: {}, timeoutMs: PROBE_LIMIT_MS };
    // The engine's own proxy takes connections from the start: only the machine knows.
    if ((await this.run(looking, signal)).exitCode !== 0) return undefined;
    const { NetworkSettings } = await this.#client.json(portsShape, {
      method: 'GET',
      path: `/containers/${this.#id}/json`,
      signal,
    });
    const published = NetworkSettings.Ports[`${port}/tcp`]?.[0]?.HostPort;
    return published === undefined ? undefined : { host: '127.0.0.1', port: Number(published) };
  }

  async #exec(command: Command, signal: AbortSignal): Promise<RunOnceResult> {
    const environment = Object.entries(innerEnvironment(command)).map(([name, value]) => `${name}=${value}`);
    const { Id } = await this.#client.json(idShape, {
      method: 'POST',
      path: `/containers/${this.#id}/exec`,
      body: {
        AttachStdout: true,
        AttachStderr: true,
        Env: environment,
        WorkingDir: '/',
        Cmd: ['/bin/sh', '-c', command.line],
      },
      signal,
    });
    const output = await this.#client.open({
      method: 'POST',
      path: `/exec/${Id}/start`,
      body: { Detach: false, Tty: false },
      signal,
    });
    const logTail: string[] = [];
    for await (const line of outputLines(output)) {
      logTail.push(line);
      if (logTail.length > TAIL_LINES) logTail.shift();
      command.onLine?.(line);
    }
    const exitCode = await this.#exitCode(Id, signal);
    if (exitCode !== null) return { exitCode, logTail };
    throw new KilnError('target.rejected', 'The Docker engine lost sight of a command in the machine.', {
      next: 'Look at the log of the engine, and check again.',
      retryable: true,
    });
  }

  /** The output may end a moment before the engine knows how the command did. */
  async #exitCode(exec: string, signal: AbortSignal): Promise<number | null> {
    const deadline = performance.now() + ENDING_MS;
    for (;;) {
      const request = { method: 'GET', path: `/exec/${exec}/json`, signal } as const;
      const { ExitCode } = await this.#client.json(execShape, request);
      if (ExitCode !== null || performance.now() > deadline) return ExitCode;
      await sleep(POLL_MS, undefined, { signal });
    }
  }
}

/** Ends well when something listens there for others than the machine itself. Needs no program but the shell. */
function listensScript(port: number): string {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return [
    'for table in /proc/net/tcp /proc/net/tcp6; do',
    '[ -r $table ] || continue',
    'while read -r line; do case $line in',
    `*" 0100007F:"*) ;; *":${hex} "*":0000 0A "*) exit 0;;`,
    'esac; done <$table; done; exit 1',
  ].join('\n');
}

function unfit(why: string): KilnError {
  return new KilnError('image.unfit', `Nothing can be run in the machine: ${why}`, {
    next: 'Give the image a /bin/sh for this architecture.',
  });
}
