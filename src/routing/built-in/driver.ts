/**
 * The server's side of the built-in router: starts it or adopts the one that runs, keeps it running, and puts
 * this build's router in the place of an older one without losing a connection.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { ServiceKey } from '../../domain/ids.ts';
import type { Router, RouterStatus } from '../../domain/ports/router.ts';
import type { Generation, ProbeAnswer, RouterObservation, ServiceTable } from '../../domain/routing.ts';
import { probeSecret, probeThrough } from '../probe.ts';
import type { RouterLog } from '../router-log.ts';
import { supersedes } from './build-order.ts';
import { ControlClient } from './control-client.ts';
import { EXIT_LISTEN_TAKEN, launchArguments, launchEnvironment } from './launch.ts';
import type { Limits } from './limits.ts';
import type { ListenAddress } from './listener.ts';
import {
  CONTROL_SOCKET,
  type ControlRequest,
  type Hello,
  helloSchema,
  observationSchema,
  PROTOCOL_VERSION,
  servicesSchema,
} from './protocol.ts';

export interface BuiltInRouterOptions {
  readonly nodePath: string;
  /** Path of this build's `main.ts`, or of what it was bundled to. */
  readonly entry: string;
  readonly stateDirectory: string;
  /** Port 0: any free one, kept as long as the router lives. */
  readonly listen: ListenAddress;
  /** Names the build; a running router of an older one is replaced. */
  readonly build: string;
  readonly limits?: Partial<Limits>;
  /** How often a running router is asked whether it still answers. */
  readonly pingMs?: number;
  readonly log: RouterLog;
}

const START_TIMEOUT_MS = 15_000;
const UPGRADE_TIMEOUT_MS = 45_000;
const POLL_MS = 10;
const DEFAULT_PING_MS = 5_000;
const PINGS_UNTIL_HUNG = 3;
const LOG_LIMIT_BYTES = 16 * 1024 * 1024;
/** What a path of a Unix socket may hold. */
const SOCKET_PATH_BYTES = 104;

export class BuiltInRouter implements Router {
  readonly #options: BuiltInRouterOptions;
  readonly #control: ControlClient;
  #listen: ListenAddress;
  #secret = '';
  #watchdog: NodeJS.Timeout | undefined;
  #missedPings = 0;
  #pid: number | undefined;
  /** One start, restart or upgrade at a time. */
  #ensuring: Promise<Hello> | undefined;
  #isWatched = false;

  constructor(options: BuiltInRouterOptions) {
    this.#options = options;
    this.#listen = options.listen;
    this.#control = new ControlClient(this.#socketFile, () => this.#onLost());
  }

  async start(signal: AbortSignal): Promise<void> {
    if (Buffer.byteLength(this.#socketFile) > SOCKET_PATH_BYTES) {
      throw new KilnError('input.invalid', `${this.#socketFile} is too long for a socket.`, {
        next: `Choose a state directory whose path is shorter than ${SOCKET_PATH_BYTES - CONTROL_SOCKET.length} bytes.`,
      });
    }
    await mkdir(this.#options.stateDirectory, { recursive: true, mode: 0o700 });
    this.#secret = await probeSecret(this.#options.stateDirectory);
    await this.#ensure(signal);
    this.#isWatched = true;
    this.#watchdog ??= setInterval(() => void this.#ping(), this.#pingMs).unref();
  }

  async apply(table: ServiceTable, signal: AbortSignal): Promise<void> {
    await this.#call({ op: 'apply', table }, signal);
  }

  async withdraw(service: ServiceKey, generation: Generation, signal: AbortSignal): Promise<void> {
    await this.#call({ op: 'withdraw', service, generation }, signal);
  }

  async observe(service: ServiceKey, signal: AbortSignal): Promise<RouterObservation> {
    return observationSchema.parse(await this.#call({ op: 'observe', service }, signal));
  }

  async services(signal: AbortSignal): Promise<readonly ServiceKey[]> {
    return servicesSchema.parse(await this.#call({ op: 'services' }, signal));
  }

  async probe(host: string, requestPath: string, signal: AbortSignal): Promise<ProbeAnswer> {
    return probeThrough({ listen: this.#listen, secret: this.#secret, host, path: requestPath }, signal);
  }

  async status(signal: AbortSignal): Promise<RouterStatus> {
    const listen = `${this.#listen.host}:${this.#listen.port}`;
    try {
      const hello = await this.#hello(signal);
      const damaged = hello.damaged.length === 0 ? '' : `; unreadable tables: ${hello.damaged.join(', ')}`;
      const detail = `pid ${hello.pid}, build ${hello.build}, ${hello.connections} connections${damaged}`;
      return { driver: 'built-in', reachable: true, listen, detail };
    } catch (thrown) {
      const error = asKilnError(thrown);
      if (error.code === 'aborted') throw error;
      return { driver: 'built-in', reachable: false, listen, detail: error.message };
    }
  }

  /** Puts a router of this build in the place of the running one; its connections go on. */
  async upgrade(signal: AbortSignal): Promise<void> {
    await this.#exclusively(async () => {
      await this.#replaceRunning(signal);
      const hello = await this.#hello(signal);
      this.#pid = hello.pid;
      return hello;
    });
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.#stopWatching();
    try {
      await this.#control.call({ op: 'stop' }, signal);
    } catch (thrown) {
      if (!isUnreachable(thrown)) throw thrown;
      return; // it does not run
    }
    await this.#untilGone(signal);
  }

  async close(): Promise<void> {
    this.#stopWatching();
    this.#control.close();
    // Ends by its own deadline; whoever waits for it is told there.
    await this.#ensuring?.catch(() => undefined);
    this.#control.close();
  }

  get #socketFile(): string {
    return path.join(this.#options.stateDirectory, CONTROL_SOCKET);
  }

  /** A router that died in between is started again, once, and asked again: every request is safe to repeat. */
  async #call(request: ControlRequest, signal: AbortSignal): Promise<unknown> {
    await this.#ensuring;
    try {
      return await this.#control.call(request, signal);
    } catch (thrown) {
      if (!isUnreachable(thrown)) throw thrown;
      await this.#ensure(signal);
      return this.#control.call(request, signal);
    }
  }

  async #hello(signal: AbortSignal): Promise<Hello> {
    return helloSchema.parse(await this.#control.call({ op: 'hello' }, signal));
  }

  #exclusively(work: () => Promise<Hello>): Promise<Hello> {
    const before = this.#ensuring ?? Promise.resolve();
    // What went wrong before was told to who asked for it.
    const ensuring = before.catch(() => undefined).then(work);
    this.#ensuring = ensuring;
    const done = () => {
      if (this.#ensuring === ensuring) this.#ensuring = undefined;
    };
    ensuring.then(done, done);
    return ensuring;
  }

  #ensure(signal: AbortSignal): Promise<Hello> {
    return this.#exclusively(async () => {
      const hello = (await this.#adopt(signal)) ?? (await this.#launch(signal));
      this.#listen = hello.listen;
      this.#pid = hello.pid;
      return hello;
    });
  }

  /** Undefined: none runs. */
  async #adopt(signal: AbortSignal): Promise<Hello | undefined> {
    const running = await this.#running(signal);
    if (running === undefined) return undefined;
    if (running.protocol > PROTOCOL_VERSION) {
      throw new KilnError(
        'server.protocol',
        `The running router speaks control protocol ${running.protocol}, this Kiln only ${PROTOCOL_VERSION}.`,
        { next: 'Use the newer Kiln that started it, or stop that router first.' },
      );
    }
    const { host, port } = this.#options.listen;
    if (port !== 0 && (running.listen.port !== port || running.listen.host !== host)) {
      this.#options.log.warn(
        { from: running.listen, to: { host, port } },
        'the router moves to another address',
      );
      await this.#control.call({ op: 'stop' }, signal);
      await this.#untilGone(signal);
      return undefined;
    }
    if (running.protocol === PROTOCOL_VERSION && !supersedes(this.#options.build, running.build))
      return running;
    return this.#upgraded(running, signal);
  }

  /** A new router that does not come up is no reason to stop using the one that serves, if it is understood. */
  async #upgraded(running: Hello, signal: AbortSignal): Promise<Hello> {
    try {
      await this.#replaceRunning(signal);
      return await this.#hello(signal);
    } catch (thrown) {
      const error = asKilnError(thrown);
      if (error.code !== 'router.rejected' || running.protocol !== PROTOCOL_VERSION) throw error;
      this.#options.log.warn({ why: error.message }, 'the router was not upgraded and goes on as it is');
      return running;
    }
  }

  async #running(signal: AbortSignal): Promise<Hello | undefined> {
    try {
      return await this.#hello(signal);
    } catch (thrown) {
      if (isUnreachable(thrown)) return undefined;
      throw thrown;
    }
  }

  async #replaceRunning(signal: AbortSignal): Promise<void> {
    const { nodePath, entry, build, limits } = this.#options;
    this.#options.log.info({ build }, 'the router is being upgraded');
    await this.#control.call(
      { op: 'upgrade', nodePath, entry, build, ...(limits === undefined ? {} : { limits: { ...limits } }) },
      signal,
      UPGRADE_TIMEOUT_MS,
    );
    // The next call finds the successor.
    this.#control.disconnect();
  }

  async #launch(signal: AbortSignal): Promise<Hello> {
    const { nodePath, stateDirectory, log } = this.#options;
    const output = await openLog(path.join(stateDirectory, 'router.log'));
    try {
      const child = spawn(nodePath, launchArguments({ ...this.#options, listen: this.#listen }), {
        detached: true,
        cwd: stateDirectory,
        env: launchEnvironment(),
        stdio: ['ignore', output.fd, output.fd],
      });
      child.unref();
      const hello = await this.#untilUp(child, signal);
      log.info({ pid: hello.pid, listen: hello.listen }, 'the router was started');
      return hello;
    } finally {
      await output.close();
    }
  }

  /** Another starter may win the race for the port: theirs is as good as ours. */
  async #untilUp(child: ChildProcess, signal: AbortSignal): Promise<Hello> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
    let failure: Error | undefined;
    child.on('error', (error) => {
      failure = error;
    });
    for (;;) {
      const hasEnded = child.exitCode !== null || child.signalCode !== null || failure !== undefined;
      const hello = await this.#running(deadline);
      if (hello !== undefined) return hello;
      if (hasEnded) throw this.#didNotStart(child, failure);
      await sleep(POLL_MS, undefined, { signal: deadline });
    }
  }

  #didNotStart(child: ChildProcess, failure: Error | undefined): KilnError {
    const { host, port } = this.#listen;
    if (child.exitCode === EXIT_LISTEN_TAKEN) {
      return new KilnError('listen.taken', `Another process listens on ${host}:${port}.`, {
        next: 'Stop that process, or choose another address for the router.',
      });
    }
    return new KilnError('router.unreachable', `The router did not start on ${host}:${port}.`, {
      next: `Read ${path.join(this.#options.stateDirectory, 'router.log')}.`,
      ...(failure === undefined ? {} : { cause: failure }),
    });
  }

  async #untilGone(signal: AbortSignal): Promise<void> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
    this.#control.disconnect();
    while ((await this.#running(deadline)) !== undefined) {
      await sleep(POLL_MS, undefined, { signal: deadline });
    }
    await rm(this.#socketFile, { force: true });
  }

  #onLost(): void {
    if (this.#isWatched && this.#ensuring === undefined) void this.#revive('its control connection closed');
  }

  get #pingMs(): number {
    return this.#options.pingMs ?? DEFAULT_PING_MS;
  }

  /** A router that is gone is started again; one that does not answer for long is ended first. */
  async #ping(): Promise<void> {
    if (this.#ensuring !== undefined) return;
    try {
      await this.#control.call({ op: 'hello' }, AbortSignal.timeout(this.#pingMs), this.#pingMs);
      this.#missedPings = 0;
    } catch (thrown) {
      if (!this.#isWatched) return;
      if (!isUnreachable(thrown)) {
        if (++this.#missedPings < PINGS_UNTIL_HUNG) return;
        await this.#endHung();
      }
      this.#missedPings = 0;
      await this.#revive(asKilnError(thrown).message);
    }
  }

  async #endHung(): Promise<void> {
    const pid = this.#pid;
    if (pid === undefined || !(await isRouterProcess(pid, this.#options.stateDirectory))) return;
    this.#options.log.warn({ pid }, 'the router hangs and is ended');
    process.kill(pid, 'SIGKILL');
    this.#control.disconnect();
  }

  async #revive(why: string): Promise<void> {
    this.#options.log.warn({ why }, 'the router is looked after');
    try {
      await this.#ensure(AbortSignal.timeout(START_TIMEOUT_MS * 2));
    } catch (thrown) {
      // The next ping or call tries again.
      this.#options.log.warn({ why: asKilnError(thrown).message }, 'the router could not be restarted');
    }
  }

  #stopWatching(): void {
    this.#isWatched = false;
    clearInterval(this.#watchdog);
    this.#watchdog = undefined;
  }
}

function isUnreachable(thrown: unknown): boolean {
  return thrown instanceof KilnError && thrown.code === 'router.unreachable';
}

/** True when the pid is still that of a router of this state directory, and not somebody else's by now. */
async function isRouterProcess(pid: number, stateDirectory: string): Promise<boolean> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').includes(stateDirectory);
  } catch {
    return false; // it ended by itself
  }
}

/** Append-only; one older file is kept. */
async function openLog(file: string) {
  const sizeBytes = await stat(file).then(
    (found) => found.size,
    () => 0, // not there yet
  );
  if (sizeBytes > LOG_LIMIT_BYTES) await rename(file, `${file}.1`);
  return open(file, 'a', 0o600);
}
