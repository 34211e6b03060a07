import { mkdir, readdir, rm } from 'node:fs/promises';
import type { StopPolicy } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import type { Digest, InstanceId, ServerGroupName, ServiceKey } from '../../domain/ids.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { LogLine, LogQuery, TargetCapabilities } from '../../domain/ports/target.ts';
import type { GroupSpec } from '../../domain/server-group.ts';
import { isMissing } from '../../files/system-error.ts';
import {
  type EngineInstance,
  exclusiveVolumes,
  type InstanceEngine,
  type LaunchRequest,
} from '../instance-engine.ts';
import { type Listener, readListeners } from '../listeners.ts';
import type { LogFiles } from '../log-files.ts';
import { ROTATION_LIMITS, type RotationLimits, rotateLog } from '../log-rotation.ts';
import type { TargetLog } from '../target-log.ts';
import { removeTree, type UnpackedImages } from '../unpacked-images.ts';
import { type InstanceDescription, readDescription } from './description.ts';
import { HeldInstance } from './held-instance.ts';
import type { SandboxProbe } from './isolation.ts';
import { launchInstance, makeGroupReady } from './launcher.ts';
import type { InstanceLayout, LocalLayout } from './layout.ts';
import { choosePort } from './ports.ts';
import { bootId, processTable, startEnvironment } from './processes.ts';

export interface LocalEngineParts {
  readonly layout: LocalLayout;
  readonly images: UnpackedImages;
  readonly logs: LogFiles;
  readonly probe: SandboxProbe;
  readonly clock: Clock;
  readonly log: TargetLog;
  /** PATH of the instances. */
  readonly path: string;
  readonly rotation?: RotationLimits;
}

/** Several who ask at the same time, such as all groups in one pass, share one look. */
const SAME_LOOK_MS = 2;
/** While somebody waits for an instance to listen it is looked at as often as this. */
const EAGER_MS = 20;
const EAGER_FOR_MS = 30_000;
/** Processes that an earlier server started send no signal when they end. */
const UNHEARD_MS = 250;
/** Those that this server started do: what is left to look for is who listens on their port. */
const CALM_MS = 1_000;
const ROTATION_MS = 5_000;

/** Single instances as processes of this machine. */
export class LocalEngine implements InstanceEngine {
  readonly name = 'local';
  readonly #parts: LocalEngineParts;
  readonly #held = new Map<InstanceId, HeldInstance>();
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  #ports = new Set<number>();
  #lastSeen = '';
  #timer: NodeJS.Timeout | undefined;
  #rotating: Promise<void> = Promise.resolve();
  #rotatedAt = 0;
  #refreshedAt = Number.NEGATIVE_INFINITY;

  private constructor(parts: LocalEngineParts) {
    this.#parts = parts;
  }

  /** Adopts what an earlier server left running, and learns how the rest ended. */
  static async open(parts: LocalEngineParts): Promise<LocalEngine> {
    const engine = new LocalEngine(parts);
    await mkdir(parts.layout.instances, { recursive: true, mode: 0o700 });
    // An earlier server may have died while it tried the sandbox out.
    await rm(parts.layout.trial, { recursive: true, force: true });
    await parts.images.open();
    const marked = markedProcesses();
    for (const name of await readdir(parts.layout.instances)) await engine.#adopt(name as InstanceId, marked);
    engine.#watch();
    return engine;
  }

  async capabilities(): Promise<TargetCapabilities> {
    const sandbox = await this.#parts.probe.sandbox();
    return {
      artifacts: ['bundle'],
      keepsGroups: false,
      volumes: true,
      exec: false,
      runOnce: true,
      isolation: sandbox === undefined ? 'none' : 'sandbox',
      traffic: 'kiln',
    };
  }

  prepare(artifact: Digest, signal: AbortSignal): Promise<void> {
    return this.#parts.images.prepare(artifact, signal);
  }

  async check(spec: GroupSpec, signal: AbortSignal): Promise<void> {
    const sandbox = await this.#parts.probe.sandbox();
    signal.throwIfAborted();
    await makeGroupReady(this.#parts.layout, spec, sandbox);
  }

  async launch(request: LaunchRequest, signal: AbortSignal): Promise<void> {
    const { layout, probe, clock } = this.#parts;
    const sandbox = await probe.sandbox();
    const listens = request.kind === 'member' && request.spec.process.listens;
    const port = listens ? await this.#reservePort() : undefined;
    signal.throwIfAborted();
    const { id, kind, ordinal, spec } = request;
    const description: InstanceDescription = {
      ...{ id, kind, ordinal, group: spec.group, service: spec.service, artifact: spec.artifact },
      ...(port === undefined ? {} : { port }),
      exclusiveVolumes: exclusiveVolumes(spec),
      isolation: sandbox === undefined ? 'none' : 'sandbox',
      startedAtMs: clock.now(),
      bootId: bootId(),
    };
    const held = this.#hold(description);
    try {
      const child = await launchInstance(layout, request, description, sandbox, this.#parts.path);
      if (child.pid === undefined) throw new KilnError('internal', `${id} has no process.`);
      held.launched(child.pid);
      child.once('exit', (code, signalName) => {
        held.runnerExited(code, signalName);
        this.#lookAround();
      });
    } catch (error) {
      this.#forget(id);
      throw error;
    }
    this.#watch();
  }

  async instances(): Promise<readonly EngineInstance[]> {
    if (this.#parts.clock.monotonic() - this.#refreshedAt > SAME_LOOK_MS) this.#refresh();
    return [...this.#held.values()].map((held) => held.view());
  }

  async stop(id: InstanceId, policy: StopPolicy): Promise<void> {
    await this.#held.get(id)?.stop(policy);
    this.#lookAround();
  }

  async discard(id: InstanceId): Promise<void> {
    const held = this.#held.get(id);
    if (held === undefined) return;
    if (!held.ended) throw new KilnError('internal', `${id} is discarded though it has not ended.`);
    await this.#parts.logs.keep(id, held.description.service);
    await removeTree(held.at.directory);
    this.#forget(id);
  }

  async discardGroup(group: ServerGroupName, artifactsInUse: ReadonlySet<Digest>): Promise<void> {
    await removeTree(this.#parts.layout.view(group));
    const running = [...this.#held.values()].map((held) => held.description.artifact);
    await this.#parts.images.removeUnused(new Set([...artifactsInUse, ...running]), this.#parts.clock.now());
  }

  removeVolumes(service: ServiceKey): Promise<void> {
    return removeTree(this.#parts.layout.volumesOf(service));
  }

  tail(id: InstanceId, lines: number): Promise<readonly string[]> {
    return this.#parts.logs.tail(id, lines);
  }

  logs(groups: readonly ServerGroupName[], query: LogQuery, signal: AbortSignal): AsyncIterable<LogLine> {
    return this.#parts.logs.read(groups, query, AbortSignal.any([signal, this.#closing.signal]));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#closing.abort(new KilnError('aborted', 'The target is being closed; instances go on.'));
    await this.#parts.images.close();
    await Promise.all([...this.#held.values()].map((held) => held.settled()));
    await this.#rotating;
  }

  async #adopt(id: InstanceId, marked: ReadonlyMap<string, number>): Promise<void> {
    const at = this.#parts.layout.instance(id);
    const description = await this.#describe(at);
    if (description === 'unreadable') return;
    if (description === undefined) {
      await removeTree(at.directory); // Its server died before it started anything.
      return;
    }
    await this.#hold(description).adopt(() => marked.get(id) ?? markedProcesses().get(id));
  }

  /** What cannot be read is left alone and named: it may be another version's, and may run. */
  async #describe(at: InstanceLayout): Promise<InstanceDescription | undefined | 'unreadable'> {
    try {
      return await readDescription(at);
    } catch (error) {
      this.#parts.log.warn({ file: at.description, error: String(error) }, 'an instance cannot be read');
      return 'unreadable';
    }
  }

  #hold(description: InstanceDescription): HeldInstance {
    const held = new HeldInstance({
      description,
      at: this.#parts.layout.instance(description.id),
      clock: this.#parts.clock,
      closing: this.#closing.signal,
      onEnd: () => this.#lookAround(),
    });
    this.#held.set(description.id, held);
    if (description.port !== undefined) this.#ports.add(description.port);
    return held;
  }

  #forget(id: InstanceId): void {
    const port = this.#held.get(id)?.description.port;
    if (port !== undefined) this.#ports.delete(port);
    this.#held.delete(id);
  }

  async #reservePort(): Promise<number> {
    for (;;) {
      const port = await choosePort(this.#ports);
      if (this.#ports.has(port)) continue; // Given away while this one was being tried.
      this.#ports.add(port);
      return port;
    }
  }

  #refresh(): void {
    const listeners = onceRead(readListeners);
    for (const held of this.#held.values()) held.refresh(listeners);
    this.#refreshedAt = this.#parts.clock.monotonic();
  }

  /** Says so when anything looks different from the last time. */
  #lookAround(): void {
    if (this.#closing.signal.aborted) return;
    this.#refresh();
    const seen = JSON.stringify([...this.#held.values()].map((held) => held.view().state));
    if (seen !== this.#lastSeen) {
      this.#lastSeen = seen;
      for (const listener of this.#listeners) listener();
    }
    this.#watch();
  }

  #watch(): void {
    clearTimeout(this.#timer);
    if (this.#closing.signal.aborted || this.#held.size === 0) return;
    const now = this.#parts.clock.now();
    const all = [...this.#held.values()];
    const eager = all.some((held) => held.awaited && now - held.description.startedAtMs < EAGER_FOR_MS);
    const pauseMs = eager ? EAGER_MS : all.some((held) => held.endsUnheard) ? UNHEARD_MS : CALM_MS;
    this.#rotateWhenDue();
    this.#timer = setTimeout(() => this.#lookAround(), pauseMs);
    this.#timer.unref();
  }

  #rotateWhenDue(): void {
    const now = this.#parts.clock.monotonic();
    if (now - this.#rotatedAt < ROTATION_MS) return;
    this.#rotatedAt = now;
    this.#rotating = this.#rotating.then(() => this.#rotateAll());
  }

  async #rotateAll(): Promise<void> {
    for (const { at } of [...this.#held.values()]) {
      try {
        await rotateLog(at.log, this.#closing.signal, this.#parts.rotation ?? ROTATION_LIMITS);
      } catch (error) {
        if (isMissing(error) || this.#closing.signal.aborted) continue;
        this.#parts.log.warn({ file: at.log, error: String(error) }, 'a log could not be rotated');
      }
    }
  }
}

/** One process of each instance that carries its mark: the oldest, which is its runner while that lives. */
function markedProcesses(): ReadonlyMap<string, number> {
  const marked = new Map<string, number>();
  const byAge = [...processTable().values()].sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid);
  for (const { pid } of byAge) {
    const id = startEnvironment(pid)?.get('KILN_INSTANCE');
    if (id !== undefined && !marked.has(id)) marked.set(id, pid);
  }
  return marked;
}

/** Reads when first asked, and then gives the same. */
function onceRead(read: () => readonly Listener[]): () => readonly Listener[] {
  let listeners: readonly Listener[] | undefined;
  return () => {
    listeners ??= read();
    return listeners;
  };
}
