/**
 * One instance as this server sees it.
 *
 * starting   its folder exists; its runner was started, or is about to be
 * running    its main process is known and lives
 * ending     its main process is gone; what it left behind is being killed. Nothing new starts in its place yet
 * ended      nothing of it runs, and how it ended has been read from its status file
 *
 * The same steps serve an instance that this server started and one that an earlier server left: only the files
 * and /proc are asked, and `runnerExit` merely shortens the way.
 */
import { readFileSync, statSync } from 'node:fs';
import type { StopPolicy } from '../../domain/component.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { Endpoint } from '../../domain/server-group.ts';
import { isSystemError } from '../../files/system-error.ts';
import { describeExit, type ExitStatus, exitStatus } from '../exit-status.ts';
import type { EndCause, EngineInstance, EngineState } from '../instance-engine.ts';
import { type Listener, readListeners } from '../listeners.ts';
import { removeTree } from '../unpacked-images.ts';
import {
  type InstanceDescription,
  type InstanceProcesses,
  readProcesses,
  writeProcesses,
} from './description.ts';
import { EndpointWatch } from './endpoint-watch.ts';
import type { InstanceLayout } from './layout.ts';
import { bootId, childrenOf, isAlive, livingProcess, type ProcessIdentity } from './processes.ts';
import { parseStatus, type RunnerStatus } from './runner.ts';
import { endTree, isMarked, killTree, type ProcessTree } from './termination.ts';

const LATE_START_MS = 1_000;
const LATE_START_POLL_MS = 50;

type Ended = Extract<EngineState, { kind: 'ended' }>;

export interface HeldOptions {
  readonly description: InstanceDescription;
  readonly at: InstanceLayout;
  readonly clock: Clock;
  /** Aborted when the target is closed: the instance goes on, the watching ends. */
  readonly closing: AbortSignal;
  readonly onEnd: () => void;
}

export class HeldInstance {
  readonly description: InstanceDescription;
  readonly at: InstanceLayout;
  readonly #clock: Clock;
  readonly #closing: AbortSignal;
  readonly #onEnd: () => void;
  readonly #watch: EndpointWatch;
  #known: Partial<InstanceProcesses> = {};
  /** False while the runner is being started. */
  #launched = false;
  #adopted = false;
  #endpoint: Endpoint | undefined;
  #ending: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #ended: Ended | undefined;
  #runnerExit: ExitStatus | undefined;

  constructor({ description, at, clock, closing, onEnd }: HeldOptions) {
    this.description = description;
    this.at = at;
    this.#clock = clock;
    this.#closing = closing;
    this.#onEnd = onEnd;
    this.#watch = new EndpointWatch(description.port, () => this.tree(), clock);
  }

  /** The runner is a child of this server. */
  launched(runnerPid: number): void {
    const runner = livingProcess(runnerPid);
    this.#known = runner === undefined ? {} : { runner: only(runner) };
    this.#launched = true;
  }

  runnerExited(exitCode: number | null, signal: string | null): void {
    this.#runnerExit = { exitCode, signal };
  }

  /**
   * Finds the processes that an earlier server started, by pid and start time; never those that took over a pid.
   * @param markedRunner as it is now: the process that carries the instance's mark
   */
  async adopt(markedRunner: () => number | undefined): Promise<void> {
    this.#launched = true;
    this.#adopted = true;
    if (this.description.bootId !== bootId()) return this.#conclude('lost', 'the machine was restarted');
    const written = await readProcesses(this.at);
    if (written !== undefined) {
      this.#known = written;
      return;
    }
    // The server died between starting it and writing down what it had started.
    const wasJustStarted = Math.abs(this.#clock.now() - this.description.startedAtMs) < LATE_START_MS;
    const deadline = this.#clock.monotonic() + (wasJustStarted ? LATE_START_MS : 0);
    for (;;) {
      const pid = markedRunner();
      const runner = pid === undefined ? undefined : livingProcess(pid);
      if (runner !== undefined) this.#known = { runner: only(runner) };
      if (runner !== undefined || this.#status().childPid !== undefined) return;
      // What was forked last carries the mark once it has become the runner, which may be a moment after its server.
      if (this.#clock.monotonic() >= deadline) break;
      await this.#clock.sleep(LATE_START_POLL_MS, this.#closing);
    }
    this.#conclude('never-started', 'its server died before it was started');
  }

  /** Looks at it now. Cheap: one or two small reads of /proc while nothing changes. */
  refresh(listeners: () => readonly Listener[]): void {
    if (this.#ended !== undefined || this.#ending !== undefined || !this.#launched) return;
    if (this.#known.main === undefined) this.#findMain();
    const { main, runner } = this.#known;
    if (main !== undefined && isAlive(main)) {
      if (this.#stopping === undefined) this.#lookForEndpoint(listeners);
      return;
    }
    this.#endpoint = undefined;
    if (this.#stopping !== undefined) return;
    const finished = this.#status().exitCode !== undefined;
    const runnerGone =
      runner === undefined ? this.#adopted || this.#runnerExit !== undefined : !isAlive(runner);
    if (finished || runnerGone) this.#end('exit');
  }

  /** Ends it by the policy; joins when that is under way. */
  stop(policy: StopPolicy): Promise<void> {
    if (this.#ended !== undefined) return Promise.resolve();
    if (this.#ending !== undefined) return this.#ending;
    this.#stopping ??= (async () => {
      await endTree(() => this.tree(), policy, this.#clock, this.#closing);
      await this.#tidy();
      this.#conclude('stopped');
    })().finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  tree(): ProcessTree {
    if (this.#known.main === undefined && this.#launched) this.#findMain();
    return { id: this.description.id, isolation: this.description.isolation, known: this.#known };
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** Listens, and has no endpoint yet: somebody is waiting for it. */
  get awaited(): boolean {
    return this.#ended === undefined && this.description.port !== undefined && this.#endpoint === undefined;
  }

  /** Nobody is told when it ends: its runner is not, or no longer, a child of this server. */
  get endsUnheard(): boolean {
    return this.#ended === undefined && (this.#adopted || this.#runnerExit !== undefined);
  }

  view(): EngineInstance {
    const { id, group, service, ordinal, kind, startedAtMs, exclusiveVolumes } = this.description;
    return { id, group, service, ordinal, kind, startedAtMs, exclusiveVolumes, state: this.#state() };
  }

  /** Resolves when no act of its own is under way any more. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#ending, this.#stopping]);
  }

  #state(): EngineState {
    if (this.#ended !== undefined) return this.#ended;
    if (this.#known.main === undefined) return { kind: 'starting' };
    return { kind: 'running', ...(this.#endpoint === undefined ? {} : { endpoint: this.#endpoint }) };
  }

  #findMain(): void {
    const { childPid, exitCode } = this.#status();
    if (childPid === undefined || exitCode !== undefined) return;
    const sandboxed = this.description.isolation === 'sandbox';
    const mainPid = sandboxed ? childrenOf(childPid)[0] : childPid;
    const init = sandboxed ? livingProcess(childPid) : undefined;
    const main = mainPid === undefined ? undefined : livingProcess(mainPid);
    const { runner } = this.#known;
    // Read by pid just now: the mark in its environment says that it is this very instance.
    if (init !== undefined && isMarked(init.pid, this.description.id)) {
      this.#known = { ...this.#known, init: only(init) };
    }
    if (main === undefined || !isMarked(main.pid, this.description.id)) return;
    const found = {
      runner: runner ?? only(init ?? main),
      main: only(main),
      ...(init && { init: only(init) }),
    };
    this.#known = found;
    void writeProcesses(this.at, found).catch((error) => {
      // Its folder may just have been cleared away. Without this file it is found by its mark.
      if (!isSystemError(error, 'ENOENT')) throw error;
    });
  }

  #lookForEndpoint(listeners: () => readonly Listener[]): void {
    if (this.description.port === undefined) return;
    const seen = this.#watch.look(listeners);
    this.#endpoint = seen.kind === 'own' ? seen.endpoint : undefined;
    if (seen.kind === 'foreign') this.#end('port-taken');
  }

  #end(cause: EndCause): void {
    this.#ending = (async () => {
      await killTree(() => this.tree(), this.#clock, this.#closing);
      await this.#tidy();
      const { port } = this.description;
      const taken = port !== undefined && readListeners().some((listener) => listener.port === port);
      if (taken || cause === 'port-taken') {
        this.#conclude('port-taken', `its port ${port} is taken by another process (instance.port-taken)`);
      } else this.#conclude(cause);
    })();
    this.#ending.then(
      () => this.#onEnd(),
      () => {
        this.#ending = undefined; // Looked at again, and tried again, by the next refresh.
      },
    );
  }

  #conclude(cause: EndCause, why?: string): void {
    const { exitCode } = this.#status();
    const exit =
      exitCode === undefined ? (this.#runnerExit ?? { exitCode: null, signal: null }) : exitStatus(exitCode);
    const unseen = cause === 'exit' && exit.exitCode === null && exit.signal === null;
    this.#ended = {
      kind: 'ended',
      cause: unseen ? 'lost' : cause,
      ...exit,
      endedAtMs: this.#endTime(exitCode !== undefined),
      why: why ?? describeExit(exit),
    };
  }

  /** Its runner's last line was written when it ended, which may have been while no server was there. */
  #endTime(written: boolean): number {
    return written ? Math.round(statSync(this.at.status).mtimeMs) : this.#clock.now();
  }

  /** What it wrote outside its volumes goes with it. */
  async #tidy(): Promise<void> {
    await removeTree(this.at.scratch);
    await removeTree(this.at.files);
  }

  #status(): RunnerStatus {
    try {
      return parseStatus(readFileSync(this.at.status, 'utf8'));
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return {};
      throw error;
    }
  }
}

function only({ pid, startTicks }: ProcessIdentity): ProcessIdentity {
  return { pid, startTicks };
}
