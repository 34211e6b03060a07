/**
 * The server's side of the built-in router: starts it or adopts the one that runs, keeps it running, and puts
 * this build's router in the place of an older one without losing a connection.
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { ServiceKey } from '../../domain/ids.ts';
import type { Router, RouterStatus } from '../../domain/ports/router.ts';
import type { Generation, ProbeAnswer, RouterObservation, ServiceTable } from '../../domain/routing.ts';
import { probeSecret, probeThrough } from '../probe.ts';
import type { RouterLog } from '../router-log.ts';
import { isUnreachable } from '../unreachable.ts';
import { supersedes } from './build-order.ts';
import { ControlClient } from './control-client.ts';
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
import { START_TIMEOUT_MS, startRouterProcess } from './router-start.ts';
import { Watchdog } from './watchdog.ts';

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

const UPGRADE_TIMEOUT_MS = 45_000;
const POLL_MS = 10;
const DEFAULT_PING_MS = 5_000;
/** What a path of a Unix socket may hold. */
const SOCKET_PATH_BYTES = 104;

export class BuiltInRouter implements Router {
  readonly #options: BuiltInRouterOptions;
  readonly #control: ControlClient;
  #listen: ListenAddress;
  #secret = '';
  readonly #watchdog: Watchdog;
  #pid: number | undefined;
  /** One start, restart or upgrade at a time. */
  #ensuring: Promise<Hello> | undefined;

  constructor(options: BuiltInRouterOptions) {
    this.#options = options;
    this.#listen = options.listen;
    this.#control = new ControlClient(this.#socketFile, () => this.#watchdog.lost());
    this.#watchdog = new Watchdog({
      pingMs: this.#pingMs,
      ping: (signal) => this.#control.call({ op: 'hello' }, signal, this.#pingMs),
      isBusy: () => this.#ensuring !== undefined,
      endHung: () => this.#endHung(),
      revive: (why) => this.#revive(why),
    });
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
    this.#watchdog.start();
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
    this.#watchdog.stop();
    try {
      await this.#control.call({ op: 'stop' }, signal);
    } catch (thrown) {
      if (!isUnreachable(thrown)) throw thrown;
      return; // it does not run
    }
    await this.#untilGone(signal);
  }

  async close(): Promise<void> {
    this.#watchdog.stop();
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
    const hello = await startRouterProcess({ ...this.#options, listen: this.#listen }, signal, (deadline) =>
      this.#running(deadline),
    );
    this.#options.log.info({ pid: hello.pid, listen: hello.listen }, 'the router was started');
    return hello;
  }

  async #untilGone(signal: AbortSignal): Promise<void> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
    this.#control.disconnect();
    while ((await this.#running(deadline)) !== undefined) {
      await sleep(POLL_MS, undefined, { signal: deadline });
    }
    await rm(this.#socketFile, { force: true });
  }

  get #pingMs(): number {
    return this.#options.pingMs ?? DEFAULT_PING_MS;
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
}

/** True when the pid is still that of a router of this state directory, and not somebody else's by now. */
async function isRouterProcess(pid: number, stateDirectory: string): Promise<boolean> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').includes(stateDirectory);
  } catch {
    return false; // it ended by itself
  }
}
