/**
 * Carries executions on: stores each event before it acts on it, as the head of `asl/advance.ts` asks.
 *
 * MODES of an execution on this server:
 *   unknown   somebody else holds it, or nobody
 *   held      claimed under a fence; its timers are set and its tasks run. Its state is in memory only while it moves
 *             (`warm`), or was one of the last that did: ten thousand that wait are ten thousand small entries
 *   turning   the events in its inbox are applied, stored in one append, and then their effects are carried out
 *
 * INVARIANTS
 *   - Effects are carried out only once the events that asked for them are durable, under the fence that stored them.
 *     Only cancelling comes first: otherwise a crash in between would leave what nobody waits for any more.
 *   - One turn at a time for each execution; what comes meanwhile waits in its inbox.
 *   - An append that is refused means that somebody else holds it: this server then stops its tasks and forgets it.
 *     One whose outcome is unknown (a lost store) is loaded again, and goes on from what the store says.
 *   - A task that must not run twice begins only after `taskStarted` is durable: not while it waits for a place. When that is there and no end is, its
 *     server died with it: it ends as `Kiln.OutcomeUnknown`. Every other task is asked again with the same key.
 */
import { asKilnError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { EventStore } from '../../domain/ports/events.ts';
import type { Claim, ExecutionStore, StoredExecution } from '../../domain/ports/executions.ts';
import { outstanding } from '../asl/advance.ts';
import type { Execution } from '../asl/execution.ts';
import type { LimitOf } from '../definition/verb-limits.ts';
import type { MapTransfers } from '../items/map-transfers.ts';
import type { SourceHere, Task } from '../task.ts';
import { applyEvents } from './apply-events.ts';
import { Claiming } from './claiming.ts';
import { Held, type Incoming } from './held.ts';
import { Machines } from './machines.ts';
import { RunningTasks } from './running-tasks.ts';
import { type EventPart, signalEvent, snapshotIsDue, stateOf } from './stored-state.ts';
import { TaskEffects } from './task-effects.ts';
import { Timers } from './timers.ts';

const WARM = 500;
/** Events of one turn; more wait for the next. */
const TURN_SIZE = 100;
const RETRY_MS = 500;

export interface ExecutorParts {
  readonly store: ExecutionStore;
  readonly events: Pick<EventStore, 'after' | 'revision' | 'waitAfter'>;
  readonly clock: Clock;
  readonly log: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
  /** Names this server; it must differ from one start to the next. */
  readonly holder: string;
  /** Other servers may carry on executions of the same store. */
  readonly shares: boolean;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly tasks: ReadonlyMap<string, Task>;
  /** Name of the task that a resource asks for. */
  readonly taskName: (resource: string) => string;
  /** Limits of tasks that name none. */
  readonly limitOf?: LimitOf;
  /** Of items and results of distributed Maps; without it they fail. */
  readonly transfers?: Pick<MapTransfers, 'read' | 'write'>;
  /** Without it tasks are given what stands in their execution. */
  readonly sourceHere?: SourceHere;
  /** Tasks of this machine at once. */
  readonly places: number;
}

export class Executor {
  readonly machines: Machines;
  readonly #parts: ExecutorParts;
  readonly #held = new Map<string, Held>();
  /** Those whose state is in memory, in order of last use. */
  readonly #warm = new Set<Held>();
  readonly #timers: Timers;
  readonly #running: RunningTasks;
  readonly #effects: TaskEffects;
  readonly #claiming: Claiming;
  readonly #stopping = new AbortController();
  readonly #work = new Set<Promise<void>>();

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    this.machines = new Machines(parts.store, parts.limitOf);
    this.#timers = new Timers(
      () => parts.clock.now(),
      (key) => this.#timerFired(key),
    );
    this.#running = new RunningTasks(parts.places);
    this.#effects = new TaskEffects({
      ...parts,
      timers: this.#timers,
      running: this.#running,
      tell: (held, part) => this.#tell(held, part),
      tellDurably: (held, part) => new Promise((stored) => this.#tell(held, part, { stored })),
    });
    const claiming = {
      ...parts,
      onClaimed: (claims: readonly Claim[]) => this.#takeAll(claims),
      onSignal: (id: string) => this.#signalled(id),
      warn: (thrown: unknown, message: string) => this.#warn(thrown, message),
      track: (work: Promise<void>) => this.#track(work),
    };
    this.#claiming = new Claiming(claiming, this.#stopping.signal);
  }

  start(): Promise<void> {
    return this.#claiming.start();
  }

  /** How many executions this server carries on. */
  get held(): number {
    return this.#held.size;
  }

  /** What it holds is free at once; tasks that run are stopped, and asked again by whoever goes on. */
  async close(): Promise<void> {
    this.#stopping.abort(new Error('the server is closing'));
    this.#timers.close();
    await this.#running.close();
    while (this.#work.size > 0) await Promise.all(this.#work);
    this.#held.clear();
    await this.#parts.store.releaseAll(this.#parts.holder);
  }

  async #takeAll(claims: readonly Claim[]): Promise<void> {
    for (const { id, fence } of claims) {
      const before = this.#held.get(id);
      if (before !== undefined) this.#forget(before);
      this.#held.set(id, new Held(id, fence));
    }
    const loaded = await this.#parts.store.load(claims.map(({ id }) => id));
    for (const stored of loaded) {
      const held = this.#held.get(stored.record.id);
      if (held !== undefined) await this.#take(held, stored);
    }
  }

  /** Goes on where the store says it is. */
  async #take(held: Held, stored: StoredExecution): Promise<void> {
    const { record, signals } = stored;
    try {
      const machine = await this.machines.get(record.definition);
      const execution = await stateOf(machine, stored);
      held.stands(record, stored.snapshot?.sequence ?? 0, execution);
      this.#warmUp(held);
      for (const effect of outstanding(execution)) this.#effects.resume(held, execution, effect);
      if (execution.status === 'PENDING') this.#tell(held, { type: 'started' });
      this.#hear(held, signals);
    } catch (thrown) {
      this.#warn(thrown, `execution ${held.id} cannot be gone on with; trying again`);
      held.turning = true;
      this.#track(this.#recover(held).then(() => this.#turns(held)));
    }
  }

  #signalled(id: string): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#track(
      (async () => {
        this.#hear(held, await this.#parts.store.signals(id));
      })(),
    );
  }

  #hear(held: Held, signals: StoredExecution['signals']): void {
    for (const signal of signals) {
      const event = signalEvent(signal);
      if (event !== undefined && held.isNews(signal.number))
        this.#tell(held, event, { signal: signal.number });
    }
  }

  #timerFired(key: string): void {
    const at = key.lastIndexOf('/');
    const held = this.#held.get(key.slice(0, at));
    const timer = key.slice(at + 1);
    held?.timers.delete(timer);
    if (held !== undefined) this.#tell(held, { type: 'timerFired', timer });
  }

  #tell(held: Held, part: EventPart, more: Pick<Incoming, 'stored' | 'signal'> = {}): void {
    if (held.gone) return;
    const { clock, randomBytes } = this.#parts;
    const entropy = Buffer.from(randomBytes(16)).toString('hex');
    held.inbox.push({ event: { ...part, atMs: clock.now(), entropy }, ...more });
    if (held.turning || this.#stopping.signal.aborted) return;
    held.turning = true;
    this.#track(this.#turns(held));
  }

  async #turns(held: Held): Promise<void> {
    while (held.inbox.length > 0 && !held.gone && !this.#stopping.signal.aborted) {
      try {
        await this.#turn(held);
      } catch (thrown) {
        if (asKilnError(thrown).code === 'fence.stale') {
          this.#forget(held);
          return;
        }
        this.#warn(thrown, `execution ${held.id} could not be moved on; it is loaded again`);
        await this.#recover(held);
      }
    }
    held.turning = false;
  }

  async #turn(held: Held): Promise<void> {
    const before = held.execution ?? (await this.#load(held));
    const machine = await this.machines.get(held.definition);
    // They leave the inbox once they are stored: an event that comes twice changes nothing.
    const taken = held.inbox.slice(0, TURN_SIZE);
    const given = taken.map(({ event }) => event);
    const { execution, effects, events } = await applyEvents(machine, before, given);
    const isOver = execution.status !== 'RUNNING' && execution.status !== 'PENDING';
    const sequence = held.sequence + events.length;
    const keeps = isOver || snapshotIsDue(execution, sequence - held.snapshotSequence);
    const consumed = taken.flatMap(({ signal }) => signal ?? []);
    if (!(await this.#effects.cancel(held, effects)))
      this.#parts.log.warn({ execution: held.id }, 'a task does not end what it began; gone on without it');
    await this.#parts.store.append({
      id: held.id,
      fence: held.fence,
      after: held.sequence,
      events,
      status: execution.status,
      atMs: this.#parts.clock.now(),
      ...(keeps && { snapshot: execution }),
      ...(isOver && { failure: execution }),
      ...(consumed.length > 0 && { consumed }),
    });
    held.inbox.splice(0, taken.length);
    held.moved(execution, sequence, keeps);
    this.#warmUp(held);
    for (const effect of effects) this.#effects.carryOut(held, execution, effect);
    for (const { stored, signal, event } of taken) {
      // Answered by somebody else: what waits for that answer here is done with.
      if (signal !== undefined && 'task' in event && event.type !== 'taskHeartbeat')
        this.#running.stop(held.key(event.task));
      stored?.();
    }
    if (isOver) this.#forget(held);
  }

  async #load(held: Held): Promise<Execution> {
    const [stored] = await this.#parts.store.load([held.id]);
    if (stored === undefined) throw new Error(`execution ${held.id} is gone from the store`);
    const execution = await stateOf(await this.machines.get(stored.record.definition), stored);
    held.stands(stored.record, stored.snapshot?.sequence ?? 0, execution);
    return execution;
  }

  /** Within a turn, after a failure of the store: what it says is what holds. Tries until it answers. */
  async #recover(held: Held): Promise<void> {
    while (!held.gone && !this.#stopping.signal.aborted) {
      // Aborted only when the server closes, which is looked for above.
      await this.#parts.clock.sleep(RETRY_MS, this.#stopping.signal).catch(() => undefined);
      try {
        const [stored] = await this.#parts.store.load([held.id]);
        if (stored?.record.holder !== this.#parts.holder || stored.record.endedAtMs !== undefined) {
          this.#forget(held);
          return;
        }
        held.forgetNews();
        await this.#take(held, stored);
        return;
      } catch (thrown) {
        this.#warn(thrown, `execution ${held.id} cannot be loaded; trying again`);
      }
    }
  }

  #warmUp(held: Held): void {
    this.#warm.delete(held);
    this.#warm.add(held);
    if (this.#warm.size <= WARM) return;
    for (const coldest of this.#warm) {
      if (coldest.turning) continue;
      coldest.execution = undefined;
      this.#warm.delete(coldest);
      return;
    }
  }

  #forget(held: Held): void {
    if (held.gone) return;
    held.gone = true;
    for (const timer of held.timers) this.#timers.clear(held.key(timer));
    this.#running.stopAll(held.key(''));
    this.#warm.delete(held);
    if (this.#held.get(held.id) === held) this.#held.delete(held.id);
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch((thrown: unknown) => {
      if (!this.#stopping.signal.aborted) this.#warn(thrown, 'an execution could not be carried on for now');
    });
    this.#work.add(tracked);
    void tracked.finally(() => this.#work.delete(tracked));
  }

  #warn(thrown: unknown, message: string): void {
    const { code, message: why } = asKilnError(thrown);
    this.#parts.log.warn({ code, why }, message);
  }
}
