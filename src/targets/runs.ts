import { constants } from 'node:os';
import { KilnError } from '../domain/errors.ts';
import type { Fence, ServerGroupName } from '../domain/ids.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { RunOnceResult } from '../domain/ports/target.ts';
import type { GroupSpec } from '../domain/server-group.ts';
import type { GroupRecords, RunOutcome, RunRecord } from './group-records.ts';
import { type EngineInstance, exclusiveVolumes, type InstanceEngine } from './instance-engine.ts';
import { newInstanceId } from './instance-name.ts';
import type { TargetLog } from './target-log.ts';
import { whileWanted } from './turns.ts';
import { volumeBusy, volumeHolders } from './volume-rule.ts';

const TAIL_LINES = 50;
const POLL_MS = 25;
const SLOWEST_POLL_MS = 200;
/** A run that outlived its time gets this long to end by itself. */
const TIMEOUT_STOP = { signals: ['SIGTERM', 'SIGKILL'], graceMs: 5_000 } as const;

/**
 * Commands that run once per key.
 *
 * intended   the record is on disk, nothing has run
 * under way  the engine holds an instance for it
 * done       the record has its outcome, which every later caller gets
 *
 * A run whose command certainly did not begin is begun again; one that began and whose end nobody saw is
 * `unknown`, and is never run a second time under the same key.
 */
export class Runs {
  readonly #engine: InstanceEngine;
  readonly #records: GroupRecords;
  readonly #clock: Clock;
  readonly #log: TargetLog;
  readonly #underWay = new Map<string, Promise<RunOutcome>>();
  /** How many runs of a group are being begun or followed here. */
  readonly #users = new Map<ServerGroupName, number>();
  readonly #closing = new AbortController();

  constructor(engine: InstanceEngine, records: GroupRecords, clock: Clock, log: TargetLog) {
    this.#engine = engine;
    this.#records = records;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Goes on watching what an earlier server began, so that its time limit holds though nobody asks. What had only
   * been intended stays so, for whoever asks for it again.
   */
  async resume(): Promise<void> {
    const held = new Map((await this.#engine.instances()).map((instance) => [instance.id, instance]));
    for (const record of this.#records.openRuns()) {
      const instance = held.get(record.instance);
      if (instance === undefined) continue;
      if (neverStarted(instance)) await this.#engine.discard(instance.id);
      else void this.#join(record.key, record.group, () => this.#watch(record));
    }
  }

  async once(
    spec: GroupSpec,
    command: string,
    key: string,
    fence: Fence,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<RunOnceResult> {
    await this.#records.admit(spec.service, fence);
    const done = this.#records.run(key)?.outcome;
    const outcome =
      done ??
      (await whileWanted(
        this.#join(key, spec.group, () => this.#begin(spec, command, key, timeoutMs)),
        signal,
      ));
    return answer(outcome, key);
  }

  async stopAll(group: ServerGroupName): Promise<void> {
    for (const record of this.#records.openRuns().filter((run) => run.group === group)) {
      await this.#records.putRun({ ...record, outcome: { kind: 'stopped' } });
      await this.#underWay.get(record.key)?.catch(() => undefined); // Its own callers are told.
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new KilnError('aborted', 'The target is being closed; the run goes on.'));
    await Promise.allSettled(this.#underWay.values());
  }

  #join(key: string, group: ServerGroupName, work: () => Promise<RunOutcome>): Promise<RunOutcome> {
    const running = this.#underWay.get(key);
    if (running !== undefined) return running;
    this.#users.set(group, (this.#users.get(group) ?? 0) + 1);
    const mine = work().finally(async () => {
      this.#underWay.delete(key);
      await this.#leave(group);
    });
    mine.catch((error) => this.#log.warn({ key, error: String(error) }, 'a run could not be followed'));
    this.#underWay.set(key, mine);
    return mine;
  }

  /** What the run's group had on this machine goes with its last run, unless the group has instances too. */
  async #leave(group: ServerGroupName): Promise<void> {
    const users = (this.#users.get(group) ?? 1) - 1;
    if (users > 0) {
      this.#users.set(group, users);
      return;
    }
    this.#users.delete(group);
    const open = this.#records.openRuns().some((run) => run.group === group);
    if (open || this.#records.group(group) !== undefined || this.#closing.signal.aborted) return;
    await this.#engine.discardGroup(group, this.#records.artifactsInUse());
  }

  async #begin(spec: GroupSpec, command: string, key: string, timeoutMs: number): Promise<RunOutcome> {
    const earlier = this.#records.run(key);
    if (earlier?.outcome !== undefined) return earlier.outcome;
    const instances = await this.#engine.instances();
    const held = instances.find((instance) => instance.id === earlier?.instance);
    if (earlier !== undefined && held !== undefined && !neverStarted(held)) return this.#watch(earlier);
    if (held !== undefined) await this.#engine.discard(held.id);

    const signal = this.#closing.signal;
    await this.#engine.prepare(spec.artifact, signal);
    await this.#engine.check(spec, signal);
    // Beside an instance of its own group, as a test in the image runs, it is no second holder.
    const [holder] = volumeHolders(spec, instances).filter((one) => one.group !== spec.group);
    const [volume] = exclusiveVolumes(spec);
    if (holder !== undefined && volume !== undefined) throw volumeBusy(volume, holder);
    const record: RunRecord = {
      key,
      group: spec.group,
      service: spec.service,
      instance: newInstanceId(spec.group, 'r'),
      deadlineMs: this.#clock.now() + timeoutMs,
    };
    await this.#records.putRun(record);
    await this.#engine.launch({ id: record.instance, kind: 'run', ordinal: 0, spec, command }, signal);
    return this.#watch(record);
  }

  async #watch(record: RunRecord): Promise<RunOutcome> {
    for (let waitMs = POLL_MS; ; waitMs = Math.min(SLOWEST_POLL_MS, waitMs * 1.1)) {
      const instance = (await this.#engine.instances()).find((one) => one.id === record.instance);
      const stopped = this.#records.run(record.key)?.outcome;
      if (stopped !== undefined) {
        await this.#engine.stop(record.instance, TIMEOUT_STOP);
        return this.#finish(record, stopped);
      }
      if (instance === undefined) {
        return this.#finish(record, { kind: 'unknown', why: 'what it left on this machine is gone' });
      }
      if (instance.state.kind === 'ended') return this.#finish(record, await this.#outcome(instance));
      if (this.#clock.now() >= record.deadlineMs) return this.#timeOut(record);
      await this.#clock.sleep(waitMs, this.#closing.signal);
    }
  }

  async #outcome(instance: EngineInstance): Promise<RunOutcome> {
    if (instance.state.kind !== 'ended') return { kind: 'unknown', why: 'it has not ended' };
    const { exitCode, signal, why } = instance.state;
    if (exitCode === null && signal === null) return { kind: 'unknown', why };
    const logTail = await this.#engine.tail(instance.id, TAIL_LINES);
    return { kind: 'exited', exitCode: exitCode ?? signalExitCode(signal), logTail };
  }

  async #timeOut(record: RunRecord): Promise<RunOutcome> {
    await this.#engine.stop(record.instance, TIMEOUT_STOP);
    const logTail = await this.#engine.tail(record.instance, TAIL_LINES);
    return this.#finish(record, { kind: 'timed-out', logTail });
  }

  /** The outcome is on disk before the traces that it was read from go. */
  async #finish(record: RunRecord, outcome: RunOutcome): Promise<RunOutcome> {
    await this.#records.putRun({ ...record, outcome });
    await this.#engine.discard(record.instance);
    return outcome;
  }
}

function neverStarted(instance: EngineInstance): boolean {
  return instance.state.kind === 'ended' && instance.state.cause === 'never-started';
}

/** As a shell would give it. */
function signalExitCode(signal: string | null): number {
  const number = Object.entries(constants.signals).find(([name]) => name === signal)?.[1];
  return 128 + (number ?? 0);
}

function answer(outcome: RunOutcome, key: string): RunOnceResult {
  switch (outcome.kind) {
    case 'exited':
      return { exitCode: outcome.exitCode, logTail: outcome.logTail };
    case 'timed-out':
      throw new KilnError('timeout', `The command of ${key} took longer than its limit and was stopped.`, {
        next: `Look at its output and give it more time: ${outcome.logTail.at(-1) ?? 'it wrote nothing'}`,
        details: { outcome: 'timed-out' },
      });
    case 'stopped':
      throw new KilnError('migrate.failed', `The command of ${key} was stopped with its group.`, {
        next: 'Look at what it had done, then release again: a new release runs it anew.',
        details: { outcome: 'stopped' },
      });
    case 'unknown':
      throw new KilnError(
        'migrate.failed',
        `The command of ${key} began, and how it ended is not known: ${outcome.why}.`,
        {
          next: 'Look at what it had done, then release again: a new release runs it anew. It is never run twice by itself.',
          details: { outcome: 'unknown' },
        },
      );
  }
}
