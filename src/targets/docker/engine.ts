import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { EngineClient } from '../../docker/engine-client.ts';
import type { StopPolicy } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import type { Digest, InstanceId, ServerGroupName, ServiceKey } from '../../domain/ids.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { LogLine, LogQuery, TargetCapabilities } from '../../domain/ports/target.ts';
import type { GroupSpec } from '../../domain/server-group.ts';
import { readIfThere, replaceFile } from '../../files/durable-file.ts';
import { confine } from '../confined-path.ts';
import type { EngineInstance, InstanceEngine, LaunchRequest } from '../instance-engine.ts';
import { LogFiles } from '../log-files.ts';
import type { TargetLog } from '../target-log.ts';
import { makeMountPoint } from '../unpacked-images.ts';
import { containerBody } from './container-body.ts';
import { ContainerLogs } from './container-logs.ts';
import { containerState } from './container-state.ts';
import { type Container, Containers, neighbourOf } from './containers.ts';
import type { DockerImages } from './images.ts';
import type { DockerLayout } from './layout.ts';
import { ListeningWatch } from './listening-watch.ts';
import { checkVolume, writeFiles } from './mounted.ts';
import { gone, removeVolumes } from './removal.ts';
import { stopContainer } from './stopping.ts';

export interface DockerEngineParts {
  readonly client: EngineClient;
  readonly layout: DockerLayout;
  readonly images: DockerImages;
  readonly clock: Clock;
  readonly log: TargetLog;
}

const OWNER = /^[0-9a-f]{12}$/;
/** What was begun in the engine under this Kiln's name. */
interface Session {
  readonly owner: string;
  readonly containers: Containers;
  readonly logs: ContainerLogs;
}

/**
 * Single instances as containers of a Docker engine on this machine. Before the first one is started nothing is
 * asked of the engine, so that a Kiln that does not use it does not need it; from then on an engine that does not
 * answer is a failure, never an empty list.
 */
export class DockerEngine implements InstanceEngine {
  readonly name = 'docker';
  readonly #parts: DockerEngineParts;
  readonly #kept: LogFiles;
  readonly #bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  readonly #launching = new Set<InstanceId>();
  readonly #stopped = new Set<InstanceId>();
  readonly #stopping = new Map<InstanceId, Promise<void>>();
  readonly #listening: ListeningWatch;
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  #session: Promise<Session> | undefined;

  private constructor(parts: DockerEngineParts) {
    this.#parts = parts;
    this.#kept = new LogFiles(parts.layout, parts.clock);
    this.#listening = new ListeningWatch({
      clock: parts.clock,
      containers: async () => (await this.#session)?.containers.list() ?? [],
      isLaunching: () => this.#launching.size > 0,
      onFound: () => this.#hint(),
      onFailure: (error) => this.#warn(error, 'the containers could not be looked at'),
    });
  }

  static async open(parts: DockerEngineParts): Promise<DockerEngine> {
    const engine = new DockerEngine(parts);
    await mkdir(parts.layout.instances, { recursive: true, mode: 0o700 });
    await parts.images.open();
    const owner = await readIfThere(parts.layout.owner);
    if (owner !== undefined) engine.#session = Promise.resolve(engine.#begin(owner.trim()));
    return engine;
  }

  async capabilities(signal: AbortSignal): Promise<TargetCapabilities> {
    await this.#parts.client.ping(signal);
    return {
      artifacts: ['container', 'bundle'],
      keepsGroups: false,
      volumes: true,
      exec: false,
      runOnce: true,
      isolation: 'sandbox',
      traffic: 'kiln',
    };
  }

  async prepare(artifact: Digest, signal: AbortSignal): Promise<void> {
    const { owner } = await this.#own();
    await this.#parts.images.prepare(artifact, owner, signal);
  }

  async check(spec: GroupSpec, signal: AbortSignal): Promise<void> {
    const { owner } = await this.#own();
    for (const file of spec.files) confine(file.path);
    for (const volume of spec.process.volumes) checkVolume(volume.path);
    const { bundle } = await this.#parts.images.start(spec, owner, signal);
    if (bundle === undefined) return;
    for (const volume of spec.process.volumes) {
      if (!path.isAbsolute(volume.path)) makeMountPoint(bundle, volume.path, 'directory');
    }
    for (const file of spec.files) makeMountPoint(bundle, file.path, 'file');
  }

  async launch(request: LaunchRequest, signal: AbortSignal): Promise<void> {
    const { client, layout, images, clock } = this.#parts;
    const { owner, containers } = await this.#own();
    const start = await images.start(request.spec, owner, signal);
    const { id } = request;
    const files = await writeFiles(layout, request);
    const body = containerBody({
      ...{ request, owner, files, ...start },
      beside: neighbourOf(request, await containers.list()),
      startedAtMs: clock.now(),
      bootId: this.#bootId,
    });
    this.#launching.add(id);
    try {
      await client.send({ method: 'POST', path: '/containers/create', query: { name: id }, body, signal });
      containers.changed();
      await client.send({ method: 'POST', path: `/containers/${id}/start`, signal });
    } catch (error) {
      // What was created and could not be started says so itself, as an instance that has ended.
      if (!(await this.#wasCreated(id, error))) {
        await rm(layout.instance(id).directory, { recursive: true, force: true });
        throw error;
      }
    } finally {
      this.#launching.delete(id);
      containers.changed();
    }
    this.#listening.watch();
  }

  async instances(): Promise<readonly EngineInstance[]> {
    if (this.#session === undefined) return [];
    const { containers } = await this.#session;
    return (await containers.list()).map((container) => this.#view(container));
  }

  stop(id: InstanceId, policy: StopPolicy): Promise<void> {
    const under = this.#stopping.get(id);
    if (under !== undefined) return under;
    const work = this.#stop(id, policy).finally(() => this.#stopping.delete(id));
    this.#stopping.set(id, work);
    return work;
  }

  async discard(id: InstanceId): Promise<void> {
    const { client, layout } = this.#parts;
    const { containers, logs } = await this.#own();
    const container = await this.#find(id);
    if (container !== undefined) {
      const { signal } = this.#closing;
      if (this.#view(container).state.kind !== 'ended') {
        throw new KilnError('internal', `${id} is discarded though it has not ended.`);
      }
      await logs.keep(container, container.service, signal);
      const path = `/containers/${container.containerId}`;
      await gone(client.send({ method: 'DELETE', path, query: { v: '1' }, signal }));
    }
    await rm(layout.instance(id).directory, { recursive: true, force: true });
    this.#stopped.delete(id);
    containers.changed();
  }

  async discardGroup(group: ServerGroupName, artifactsInUse: ReadonlySet<Digest>): Promise<void> {
    const { owner, containers } = await this.#own();
    const { images } = this.#parts;
    await images.forgetRuntime(group);
    // Branding is safe: the label holds what the spec held.
    const running = (await containers.list()).map((one) => one.description.artifact as Digest);
    await images.removeUnused(new Set([...artifactsInUse, ...running]), owner);
  }

  async removeVolumes(service: ServiceKey): Promise<void> {
    if (this.#session === undefined) return;
    const { owner } = await this.#session;
    await removeVolumes(this.#parts.client, { owner, service }, this.#closing.signal);
  }

  async tail(id: InstanceId, lines: number): Promise<readonly string[]> {
    const container = await this.#find(id);
    if (container === undefined) return [];
    return (await this.#own()).logs.tail(container, lines, this.#closing.signal);
  }

  async *logs(
    groups: readonly ServerGroupName[],
    query: LogQuery,
    signal: AbortSignal,
  ): AsyncGenerator<LogLine> {
    if (this.#session === undefined) return;
    const { logs } = await this.#session;
    yield* logs.read(groups, query, AbortSignal.any([signal, this.#closing.signal]));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#listening.close();
    this.#closing.abort(new KilnError('aborted', 'The target is being closed; containers go on.'));
    await Promise.allSettled(this.#stopping.values());
    await this.#parts.images.close();
    await (await this.#session)?.containers.close();
    this.#parts.client.close();
  }

  /** Its name is on disk before anything stands under it in the engine. */
  #own(): Promise<Session> {
    this.#session ??= (async () => {
      const owner = randomBytes(6).toString('hex');
      await replaceFile(this.#parts.layout.owner, `${owner}\n`);
      return this.#begin(owner);
    })();
    return this.#session;
  }

  #begin(owner: string): Session {
    if (!OWNER.test(owner)) {
      throw new KilnError('internal', `${this.#parts.layout.owner} is damaged.`, {
        next: 'Remove it; containers that carry its name in the label kiln.owner are then to be removed by hand.',
      });
    }
    const { client, layout, clock, log } = this.#parts;
    const containers = new Containers(client, owner, clock, log, () => this.#hint());
    containers.watch();
    this.#tidy(containers).catch((error) =>
      this.#warn(error, 'what is left of containers was not cleared away'),
    );
    this.#listening.watch();
    return { owner, containers, logs: new ContainerLogs({ client, containers, kept: this.#kept, layout }) };
  }

  /** Files of containers that were never created, or have gone while no server looked. */
  async #tidy(containers: Containers): Promise<void> {
    const { layout } = this.#parts;
    const found = await readdir(layout.instances);
    const there = new Set<string>((await containers.list()).map((one) => one.id));
    for (const name of found) {
      if (there.has(name) || this.#launching.has(name as InstanceId)) continue;
      await rm(path.join(layout.instances, name), { recursive: true, force: true });
    }
  }

  async #stop(id: InstanceId, policy: StopPolicy): Promise<void> {
    const { client } = this.#parts;
    const { containers } = await this.#own();
    const container = await this.#find(id);
    if (container === undefined || this.#view(container).state.kind === 'ended') return;
    await stopContainer(client, container.containerId, policy, this.#closing.signal);
    this.#stopped.add(id);
    containers.changed();
    this.#hint();
  }

  async #find(id: InstanceId): Promise<Container | undefined> {
    const { containers } = await this.#own();
    return (await containers.list()).find((one) => one.id === id);
  }

  async #wasCreated(id: InstanceId, error: unknown): Promise<boolean> {
    if (!(error instanceof KilnError) || error.code !== 'target.rejected') return false;
    const { containers } = await this.#own();
    containers.changed();
    return (await this.#find(id))?.error !== undefined;
  }

  #view(container: Container): EngineInstance {
    const { id, service, description } = container;
    const { group, ordinal, kind, startedAtMs, exclusiveVolumes } = description;
    const state = containerState(container, {
      launching: this.#launching.has(id),
      stopped: this.#stopped.has(id),
      listens: this.#stopping.has(id) ? 'no' : this.#listening.of(container),
      bootId: this.#bootId,
      nowMs: this.#parts.clock.now(),
    });
    return { id, group, service, ordinal, kind, startedAtMs, exclusiveVolumes, state };
  }

  #hint(): void {
    if (this.#closing.signal.aborted) return;
    for (const listener of this.#listeners) listener();
    this.#listening.watch();
  }

  #warn(error: unknown, message: string): void {
    if (!this.#closing.signal.aborted) this.#parts.log.warn({ error: String(error) }, message);
  }
}
