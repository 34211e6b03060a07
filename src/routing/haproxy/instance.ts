/**
 * HAProxy as processes: a master that outlives the server, its worker, and old workers that finish what they
 * have after a reload. All its files are in the state directory and named relative to it.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { KilnError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import { type HaproxyProcesses, processesOf } from './held.ts';
import { RuntimeSocket, runOnce } from './runtime.ts';

export const FILES = {
  configuration: 'haproxy.cfg',
  masterSocket: 'master.sock',
  statsSocket: 'stats.sock',
  workerSocket: 'worker.sock',
  routesMap: 'routes.map',
  healthMap: 'health.map',
  ownHealthMap: 'own-health.map',
  holdMap: 'hold.map',
  luaScript: 'kiln.lua',
  serverState: 'server-state',
  probeSecret: 'probe-secret',
} as const;

const run = promisify(execFile);
const COMMAND_TIMEOUT_MS = 15_000;
const START_TIMEOUT_MS = 10_000;
const POLL_MS = 10;
/** A master that was just killed takes its worker, and so its port, along within this time. */
const PORT_FREED_MS = 2_000;

export interface HaproxyInstanceOptions {
  /** Name or path of the program. */
  readonly program: string;
  readonly stateDirectory: string;
  readonly clock: Clock;
}

export class HaproxyInstance {
  readonly runtime: RuntimeSocket;
  readonly #options: HaproxyInstanceOptions;

  constructor(options: HaproxyInstanceOptions, onLost: () => void) {
    this.#options = options;
    this.runtime = new RuntimeSocket(this.file('statsSocket'), onLost);
  }

  file(name: keyof typeof FILES): string {
    return path.join(this.#options.stateDirectory, FILES[name]);
  }

  /** Undefined: it does not run. */
  async processes(): Promise<HaproxyProcesses | undefined> {
    try {
      return processesOf(await runOnce(this.file('masterSocket'), 'show proc'));
    } catch (thrown) {
      if (thrown instanceof KilnError && thrown.code === 'router.unreachable') return undefined;
      throw thrown;
    }
  }

  /** Which configuration the worker runs with. */
  async identity(): Promise<string | undefined> {
    const [answer] = await this.runtime.run(['show env KILN_CONFIGURATION']);
    return /^KILN_CONFIGURATION=(.*)$/m.exec(answer ?? '')?.[1];
  }

  async onOldWorker(pid: number, command: string): Promise<string> {
    return runOnce(this.file('masterSocket'), `@!${pid} ${command}`);
  }

  /** Fails with `router.rejected` when HAProxy finds the configuration wrong. */
  async validate(file: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#execute(['-c', '-f', file], signal);
    } catch (thrown) {
      throw this.#explain(thrown, 'HAProxy does not accept its configuration');
    }
  }

  /** Starts it with the configuration on disk. Fails with `listen.taken`. */
  async launch(identity: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const endMs = clock.monotonic() + PORT_FREED_MS;
    for (;;) {
      try {
        await this.#execute(
          ['-W', '-D', '-S', `unix@${FILES.masterSocket},mode,600`, '-f', FILES.configuration],
          signal,
        );
        break;
      } catch (thrown) {
        if (!isTaken(thrown) || clock.monotonic() > endMs)
          throw this.#explain(thrown, 'HAProxy did not start');
        await clock.sleep(POLL_MS * 5, signal);
      }
    }
    await this.#untilRuns(identity, signal);
  }

  /** Puts the configuration on disk in force; the old worker keeps what it has. */
  async reload(identity: string, signal: AbortSignal): Promise<void> {
    await runOnce(this.file('masterSocket'), 'reload');
    await this.#untilRuns(identity, signal);
  }

  async stop(signal: AbortSignal): Promise<void> {
    const processes = await this.processes();
    if (processes === undefined) return;
    for (const pid of processes.oldWorkerPids) kill(pid, 'SIGKILL');
    kill(processes.masterPid, 'SIGTERM');
    const endMs = this.#options.clock.monotonic() + START_TIMEOUT_MS;
    while ((await this.processes()) !== undefined) {
      if (this.#options.clock.monotonic() > endMs) {
        throw new KilnError('timeout', 'HAProxy did not stop.', { retryable: true });
      }
      await this.#options.clock.sleep(POLL_MS, signal);
    }
  }

  async #untilRuns(identity: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const endMs = clock.monotonic() + START_TIMEOUT_MS;
    for (;;) {
      this.runtime.disconnect();
      // The master is away for a moment, too: it starts itself anew.
      const isMasterBack = (await this.processes())?.workerPid !== undefined;
      if (isMasterBack && (await this.#identityIfReachable()) === identity) return;
      if (clock.monotonic() > endMs) {
        throw new KilnError('router.rejected', 'HAProxy did not take its new configuration over.', {
          next: `Run "haproxy -c -f ${this.file('configuration')}" and read what it says.`,
        });
      }
      await clock.sleep(POLL_MS, signal);
    }
  }

  async #identityIfReachable(): Promise<string | undefined> {
    try {
      return await this.identity();
    } catch (thrown) {
      if (thrown instanceof KilnError && thrown.code === 'router.unreachable') return undefined; // not up yet
      throw thrown;
    }
  }

  async #execute(args: readonly string[], signal: AbortSignal): Promise<void> {
    const { program, stateDirectory } = this.#options;
    await run(program, [...args, '-C', stateDirectory], {
      cwd: stateDirectory,
      // Nothing of the server's environment reaches it.
      env: { PATH: '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin' },
      signal,
      timeout: COMMAND_TIMEOUT_MS,
    });
  }

  #explain(thrown: unknown, what: string): KilnError {
    if (isTaken(thrown)) {
      return new KilnError('listen.taken', 'Another process listens on the router’s address.', {
        cause: thrown,
        next: 'Stop that process, or choose another address for the router.',
      });
    }
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') {
      return new KilnError('tool.missing', 'HAProxy is not installed.', {
        cause: thrown,
        next: 'Install the Debian package `haproxy`, or choose the built-in router.',
      });
    }
    return new KilnError('router.rejected', `${what}: ${lastLines(errorOutput(thrown))}`, {
      cause: thrown,
      next: `Read ${this.file('configuration')}.`,
    });
  }
}

function isTaken(thrown: unknown): boolean {
  return /cannot bind socket|Address already in use/i.test(errorOutput(thrown));
}

function errorOutput(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return 'stderr' in thrown && typeof thrown.stderr === 'string' ? thrown.stderr : thrown.message;
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' ');
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (thrown) {
    // It ended by itself, which is what was wanted.
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH')) throw thrown;
  }
}
