import { KilnError } from '../domain/errors.ts';
import type { Digest, Fence, InstanceId, ServerGroupName, ServiceKey } from '../domain/ids.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { LogLine, LogQuery, RunOnceResult, Target, TargetCapabilities } from '../domain/ports/target.ts';
import type { GroupObservation, GroupSpec } from '../domain/server-group.ts';
import { GroupChanges } from './group-changes.ts';
import { planGroup, settleEnds } from './group-plan.ts';
import type { GroupRecords } from './group-records.ts';
import { observeGroup, wished } from './group-view.ts';
import type { InstanceEngine } from './instance-engine.ts';
import { groupOf, newInstanceId } from './instance-name.ts';
import { Runs } from './runs.ts';
import type { TargetLog } from './target-log.ts';
import { Turns, whileWanted } from './turns.ts';
import { refuseRemovalInUse, refuseSecondHolder, volumeHolders } from './volume-rule.ts';

/** When nothing else wakes it, a group is looked at this often. */
const LOOK_AGAIN_MS = 3_000;
/** Pause after a launch, or anything else, has failed. */
const RETRY_MS = 1_000;

/**
 * Group behaviour for an engine that knows only single instances. What is wanted of each group is a record on
 * disk; a pass settles what ended, plans, and acts, whenever the engine hints at a change, a back-off ends, or
 * somebody asks for something. All that touches one group happens one after the other, in its turn.
 */
export class SupervisedTarget implements Target {
  readonly name: string;
  readonly #engine: InstanceEngine;
  readonly #records: GroupRecords;
  readonly #clock: Clock;
  readonly #log: TargetLog;
  readonly #runs: Runs;
  readonly #turns = new Turns();
  readonly #stops = new Map<InstanceId, Promise<void>>();
  readonly #changes: GroupChanges;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #resumed = false;
  #closed = false;

  constructor(engine: InstanceEngine, records: GroupRecords, clock: Clock, log: TargetLog) {
    this.name = engine.name;
    this.#engine = engine;
    this.#records = records;
    this.#clock = clock;
    this.#log = log;
    this.#changes = new GroupChanges(engine, records, clock);
    this.#runs = new Runs(engine, records, clock, log);
  }

  /** Takes up what an earlier server left: half-done removals, runs, groups that lost instances meanwhile. */
  async start(): Promise<void> {
    this.#engine.onChange(() => this.#look());
    await this.#resume();
    for (const record of this.#records.groups().filter((one) => one.removing)) {
      this.#removeAll(record.spec.group).catch((error) => this.#warn(record.spec.group, error));
    }
    this.#look();
  }

  /** An engine that does not answer yet must not keep a server from starting: it is asked again at each look. */
  async #resume(): Promise<void> {
    if (this.#resumed) return;
    try {
      await this.#runs.resume();
      this.#resumed = true;
    } catch (error) {
      if (!(error instanceof KilnError && error.code === 'target.unavailable')) throw error;
      this.#log.warn({ target: this.name, error: error.message }, 'the target does not answer; trying again');
    }
  }

  capabilities(signal: AbortSignal): Promise<TargetCapabilities> {
    return this.#engine.capabilities(signal);
  }

  prepare(artifact: Digest, signal: AbortSignal): Promise<void> {
    return this.#engine.prepare(artifact, signal);
  }

  async ensure(
    spec: GroupSpec,
    fence: Fence,
    options: { readonly afresh: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#records.admit(spec.service, fence);
    await this.#engine.prepare(spec.artifact, signal);
    await this.#engine.check(spec, signal);
    const turn = this.#turns.take(spec.group, async () => {
      signal.throwIfAborted();
      await this.#records.admit(spec.service, fence);
      const instances = await this.#engine.instances();
      const before = this.#records.group(spec.group);
      const wish = wished(spec, before, instances, options.afresh);
      const leaving = new Set(wish.leaving);
      refuseSecondHolder(
        spec,
        instances.filter((instance) => !leaving.has(instance.id)),
      );
      if (before === undefined || JSON.stringify(before) !== JSON.stringify(wish)) {
        await this.#records.putGroup(wish);
      }
      await this.#keep(spec.group, signal);
    });
    await whileWanted(turn, signal);
    this.#look();
  }

  async observe(group: ServerGroupName, signal: AbortSignal): Promise<GroupObservation | undefined> {
    signal.throwIfAborted();
    const instances = (await this.#engine.instances()).filter((one) => one.group === group);
    return observeGroup(group, this.#records.group(group), instances, this.#clock.now());
  }

  async groups(service: ServiceKey, signal: AbortSignal): Promise<readonly ServerGroupName[]> {
    signal.throwIfAborted();
    const held = (await this.#engine.instances()).filter((instance) => instance.service === service);
    const wanted = this.#records.groups().filter((record) => record.spec.service === service);
    const names = [...held.map((one) => one.group), ...wanted.map((record) => record.spec.group)];
    return [...new Set(names)].sort();
  }

  async services(signal: AbortSignal): Promise<readonly ServiceKey[]> {
    signal.throwIfAborted();
    const held = (await this.#engine.instances()).map((instance) => instance.service);
    const wanted = this.#records.groups().map((record) => record.spec.service);
    return [...new Set([...held, ...wanted])].sort();
  }

  async replace(instance: InstanceId, fence: Fence, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const group = groupOf(instance);
    if (group === undefined) return;
    const turn = this.#turns.take(group, async () => {
      signal.throwIfAborted();
      const record = this.#records.group(group);
      const there = (await this.#engine.instances()).some((one) => one.id === instance);
      if (record === undefined || !there) return;
      await this.#records.admit(record.spec.service, fence);
      if (!record.leaving.includes(instance)) {
        await this.#records.putGroup({ ...record, leaving: [...record.leaving, instance] });
      }
      await this.#keep(group, signal);
    });
    await whileWanted(turn, signal);
    this.#look();
  }

  async remove(group: ServerGroupName, fence: Fence, signal: AbortSignal): Promise<void> {
    const service =
      this.#records.group(group)?.spec.service ??
      (await this.#engine.instances()).find((one) => one.group === group)?.service;
    if (service === undefined) return;
    await this.#records.admit(service, fence);
    const removal = this.#removeAll(group);
    removal.catch((error) => this.#warn(group, error));
    await whileWanted(removal, signal);
  }

  async removeVolumes(service: ServiceKey, fence: Fence, signal: AbortSignal): Promise<void> {
    await this.#records.admit(service, fence);
    const turn = this.#turns.take(`volumes of ${service}`, async () => {
      signal.throwIfAborted();
      refuseRemovalInUse(service, await this.#engine.instances());
      await this.#engine.removeVolumes(service);
    });
    await whileWanted(turn, signal);
  }

  runOnce(
    spec: GroupSpec,
    command: string,
    key: string,
    fence: Fence,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<RunOnceResult> {
    return this.#runs.once(spec, command, key, fence, timeoutMs, signal);
  }

  logs(groups: readonly ServerGroupName[], query: LogQuery, signal: AbortSignal): AsyncIterable<LogLine> {
    return this.#engine.logs(groups, query, signal);
  }

  onChange(listener: (group: ServerGroupName) => void): () => void {
    return this.#changes.listen(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#engine.close();
    await this.#runs.close();
    await this.#looking;
    await this.#turns.idle();
    await Promise.allSettled(this.#stops.values());
  }

  /** One pass over all groups now, and one more if somebody asks during it. */
  #look(): void {
    if (this.#closed) return;
    if (this.#looking !== undefined) {
      this.#lookAgain = true;
      return;
    }
    this.#looking = this.#pass().finally(() => {
      this.#looking = undefined;
      if (this.#lookAgain) {
        this.#lookAgain = false;
        this.#look();
      }
    });
  }

  async #pass(): Promise<void> {
    clearTimeout(this.#timer);
    let wakeAtMs = this.#clock.now() + LOOK_AGAIN_MS;
    const never = new AbortController().signal;
    await this.#resume();
    const kept = this.#records.groups().filter((record) => !record.removing);
    await Promise.all(
      kept.map(async ({ spec: { group } }) => {
        try {
          const wake = await this.#turns.take(group, () => this.#keep(group, never));
          if (wake !== undefined) wakeAtMs = Math.min(wakeAtMs, wake);
        } catch (error) {
          this.#warn(group, error);
          wakeAtMs = Math.min(wakeAtMs, this.#clock.now() + RETRY_MS);
        }
      }),
    );
    await this.#changes.announce();
    if (this.#closed) return;
    this.#timer = setTimeout(() => this.#look(), Math.max(0, wakeAtMs - this.#clock.now()));
    this.#timer.unref();
  }

  /** Settles, plans and acts for one group, in its turn. Says when there will be more to do. */
  async #keep(group: ServerGroupName, signal: AbortSignal): Promise<number | undefined> {
    const before = this.#records.group(group);
    if (before === undefined || before.removing || this.#closed) return undefined;
    const everything = await this.#engine.instances();
    const instances = everything.filter((one) => one.group === group && one.kind === 'member');
    const record = settleEnds(before, instances);
    if (record !== before) await this.#records.putGroup(record);
    if (record.history.bad !== undefined && before.history.bad === undefined) {
      this.#log.warn({ group, why: record.history.bad }, 'the group cannot stay up and is given up');
    }
    const plan = planGroup(record, instances, this.#clock.now());
    for (const id of plan.stop) this.#stop(id, record.spec).catch((error) => this.#warn(group, error));
    for (const id of plan.discard) await this.#engine.discard(id);
    await this.#launchAll(record.spec, plan.start, signal);
    return plan.wakeAtMs;
  }

  async #launchAll(spec: GroupSpec, ordinals: readonly number[], signal: AbortSignal): Promise<void> {
    if (spec.process.volumes.every((volume) => volume.shared)) {
      await Promise.all(ordinals.map((ordinal) => this.#launch(spec, ordinal, signal)));
      return;
    }
    // One look and one launch at a time for the whole service: two groups must not both find the volume free.
    await this.#turns.take(`volumes of ${spec.service}`, async () => {
      for (const ordinal of ordinals) {
        if (volumeHolders(spec, await this.#engine.instances()).length > 0) return;
        await this.#launch(spec, ordinal, signal);
      }
    });
  }

  async #launch(spec: GroupSpec, ordinal: number, signal: AbortSignal): Promise<void> {
    const id = newInstanceId(spec.group, ordinal);
    await this.#engine.launch({ id, kind: 'member', ordinal, spec, command: spec.process.run }, signal);
    this.#log.info({ instance: id }, 'instance started');
  }

  #stop(id: InstanceId, spec: GroupSpec): Promise<void> {
    const running = this.#stops.get(id);
    if (running !== undefined) return running;
    const stop = this.#engine.stop(id, spec.process.stop).finally(() => {
      this.#stops.delete(id);
      this.#look();
    });
    this.#stops.set(id, stop);
    return stop;
  }

  #removeAll(group: ServerGroupName): Promise<void> {
    return this.#turns.take(group, async () => {
      const record = this.#records.group(group);
      if (record !== undefined && !record.removing) {
        await this.#records.putGroup({ ...record, removing: true });
      }
      await this.#runs.stopAll(group);
      const members = (await this.#engine.instances()).filter((one) => one.group === group);
      await Promise.all(
        members.map(async ({ id }) => {
          if (record !== undefined) await this.#stop(id, record.spec);
          else await this.#engine.stop(id, { signals: ['SIGTERM', 'SIGKILL'], graceMs: RETRY_MS });
          await this.#engine.discard(id);
        }),
      );
      await this.#records.deleteGroup(group);
      await this.#engine.discardGroup(group, this.#records.artifactsInUse());
      this.#changes.gone(group);
    });
  }

  #warn(group: ServerGroupName, error: unknown): void {
    if (!this.#closed)
      this.#log.warn({ group, error: String(error) }, 'a group could not be kept; trying again');
  }
}
