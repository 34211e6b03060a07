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
 *   - A task that must not run twice begins only after `taskStarted` is durable. When that is there and no end is, its
 *     server died with it: it ends as `Kiln.OutcomeUnknown`. Every other task is asked again with the same key.
 *   - A server that says that it lives keeps what it holds; one that is silent for `TTL_MS` loses it to the others.
 */
import { asKilnError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { EventStore } from '../domain/ports/events.ts';
import type { ExecutionStore, StoredExecution } from '../domain/ports/executions.ts';
import { advance, outstanding } from './asl/advance.ts';
import type { StateMachine } from './asl/definition.ts';
import type { Effect, Execution, ExecutionEvent, RunTask, TaskWait } from './asl/execution.ts';
import { Held, type Incoming } from './held.ts';
import { Machines } from './machines.ts';
import { RunningTasks } from './running-tasks.ts';
import { type EventPart, signalEvent, stateOf } from './stored-state.ts';
import { OUTCOME_UNKNOWN, type Task } from './task.ts';
import { Timers } from './timers.ts';

/** A dead server's executions are free after this long. */
const TTL_MS = 5_000;
const ROUND_MS = 1_500;
/** How many are claimed, or loaded, at once. */
const CLAIM_SIZE = 400;
/** Events that a load has to apply again at most. */
const SNAPSHOT_EVERY = 25;
const WARM = 500;
/** Events of one turn; more wait for the next. */
const TURN_SIZE = 100;
const RETRY_MS = 500;

interface ExecutorLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface ExecutorParts {
  readonly store: ExecutionStore;
  readonly events: Pick<EventStore, 'after' | 'revision' | 'waitAfter'>;
  readonly clock: Clock;
  readonly log: ExecutorLog;
  /** Names this server; it must differ from one start to the next. */
  readonly holder: string;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly tasks: ReadonlyMap<string, Task>;
  /** Name of the task that a resource asks for. */
  readonly taskName: (resource: string) => string;
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
  readonly #stopping = new AbortController();
  readonly #work = new Set<Promise<void>>();
  #claiming = false;
  #claimAgain = false;

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    this.machines = new Machines(parts.store);
    this.#timers = new Timers(
      () => parts.clock.now(),
      (key) => this.#timerFired(key),
    );
    this.#running = new RunningTasks(parts.places);
  }

  async start(): Promise<void> {
    await this.#renew();
    const revision = await this.#parts.events.revision();
    this.#track(this.#rounds(this.#stopping.signal));
    this.#track(this.#follow(revision, this.#stopping.signal));
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

  // Claiming

  async #rounds(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#renew();
        this.#claim();
      } catch (thrown) {
        this.#warn(thrown, 'cannot say that this server carries executions on; trying again');
      }
      await this.#pause(ROUND_MS);
    }
  }

  #renew(): Promise<void> {
    const { store, holder, clock } = this.#parts;
    return store.renew(holder, TTL_MS, clock.now());
  }

  /** Looks for what nobody carries on; asked again while it looks, it looks once more. */
  #claim(): void {
    this.#claimAgain = true;
    if (this.#claiming || this.#stopping.signal.aborted) return;
    this.#claiming = true;
    this.#track(
      (async () => {
        while (this.#claimAgain && !this.#stopping.signal.aborted) {
          this.#claimAgain = false;
          if ((await this.#claimSome()) === CLAIM_SIZE) this.#claimAgain = true;
          // Between two claims all else has its turn: appends, timers, and the word that this server lives.
          await new Promise((resolve) => setImmediate(resolve));
        }
      })().finally(() => {
        this.#claiming = false;
      }),
    );
  }

  async #claimSome(): Promise<number> {
    const { store, holder, clock } = this.#parts;
    const claims = await store.claim(holder, CLAIM_SIZE, clock.now());
    const fences = new Map(claims.map(({ id, fence }) => [id, fence]));
    for (const [id, fence] of fences) {
      const before = this.#held.get(id);
      if (before !== undefined) this.#forget(before);
      this.#held.set(id, new Held(id, fence));
    }
    const loaded = await store.load([...fences.keys()]);
    for (const stored of loaded) {
      const held = this.#held.get(stored.record.id);
      if (held !== undefined) await this.#take(held, stored);
    }
    return claims.length;
  }

  /** Goes on where the store says it is. */
  async #take(held: Held, stored: StoredExecution): Promise<void> {
    const { record, signals } = stored;
    try {
      const machine = await this.machines.get(record.definition);
      const execution = await stateOf(machine, stored);
      held.stands(record, stored.snapshot?.sequence ?? 0, execution);
      this.#warmUp(held);
      for (const effect of outstanding(execution)) this.#resume(held, execution, effect);
      if (execution.status === 'PENDING') this.#tell(held, { type: 'started' });
      this.#hear(held, signals);
    } catch (thrown) {
      this.#warn(thrown, `execution ${held.id} cannot be gone on with; trying again`);
      held.turning = true;
      this.#track(this.#recover(held).then(() => this.#turns(held)));
    }
  }

  #resume(held: Held, execution: Execution, effect: Effect): void {
    if (effect.type !== 'runTask') {
      this.#carryOut(held, execution, effect);
      return;
    }
    const wait = taskWait(execution, effect.task);
    if (wait?.submitted || held.awaitsNews(effect.task) || this.#running.isRunning(held.key(effect.task)))
      return;
    if (wait?.started && this.#taskFor(effect)?.repeat === 'never') {
      const cause = `The server that ran ${effect.state} ended before the task did; what it has done is not known.`;
      this.#tell(held, { type: 'taskFailed', task: effect.task, error: OUTCOME_UNKNOWN, cause });
      return;
    }
    this.#runTask(held, execution, effect, true);
  }

  // Following what others do

  async #follow(from: number, signal: AbortSignal): Promise<void> {
    const { events } = this.#parts;
    let revision = from;
    while (!signal.aborted) {
      try {
        await events.waitAfter(revision, signal);
        const news = await events.after(revision, 1_000);
        for (const { kind, subject } of news) {
          if (kind === 'execution.created' || kind === 'execution.ended') this.#claim();
          if (kind === 'execution.signalled') this.#signalled(subject);
        }
        revision = news.at(-1)?.revision ?? revision;
      } catch (thrown) {
        if (signal.aborted) return;
        this.#warn(thrown, 'cannot follow the store; trying again');
        await this.#pause(RETRY_MS);
      }
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

  // Turns

  #tell(held: Held, part: EventPart, more: Pick<Incoming, 'begins' | 'signal'> = {}): void {
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
    const { execution, effects, events } = await this.#applied(machine, before, taken);
    const isOver = execution.status !== 'RUNNING' && execution.status !== 'PENDING';
    const sequence = held.sequence + events.length;
    const keeps = isOver || sequence - held.snapshotSequence >= SNAPSHOT_EVERY;
    const consumed = taken.flatMap(({ signal }) => signal ?? []);
    await this.#cancelWork(held, effects);
    await this.#parts.store.append({
      id: held.id,
      fence: held.fence,
      after: held.sequence,
      events,
      status: execution.status,
      atMs: this.#parts.clock.now(),
      ...(keeps && { snapshot: execution }),
      ...(consumed.length > 0 && { consumed }),
    });
    held.inbox.splice(0, taken.length);
    held.moved(execution, sequence, keeps);
    this.#warmUp(held);
    for (const effect of effects) this.#carryOut(held, execution, effect);
    for (const { begins, signal, event } of taken) {
      // Answered by somebody else: what waits for that answer here is done with.
      if (signal !== undefined && 'task' in event) this.#running.stop(held.key(event.task));
      if (begins !== undefined && taskWait(execution, begins.task))
        this.#begin(held, execution, begins, false);
    }
    if (isOver) this.#forget(held);
  }

  /** Before the turn is stored: a server that dies in between hears the same signal, or timer, again. */
  async #cancelWork(held: Held, effects: readonly Effect[]): Promise<void> {
    const tasks = effects.flatMap((effect) => (effect.type === 'cancelTask' ? [effect.task] : []));
    const ended = await Promise.all(tasks.map((task) => this.#running.cancel(held.key(task))));
    if (ended.includes(false))
      this.#parts.log.warn({ execution: held.id }, 'a task does not end what it began; gone on without it');
  }

  async #applied(
    machine: StateMachine,
    before: Execution,
    taken: readonly Incoming[],
  ): Promise<{ execution: Execution; effects: readonly Effect[]; events: readonly ExecutionEvent[] }> {
    let execution = before;
    const effects: Effect[] = [];
    const events: ExecutionEvent[] = [];
    for (const { event } of taken) {
      const advanced = await advance(machine, execution, event).catch((thrown: unknown) => {
        // A fault of the interpreter's own: the execution ends of it, rather than standing still for ever.
        const { atMs, entropy } = event;
        const { message } = asKilnError(thrown);
        return advance(machine, execution, abortion({ atMs, entropy }, message)).then((ended) => ({
          ...ended,
          instead: abortion({ atMs, entropy }, message),
        }));
      });
      events.push('instead' in advanced ? advanced.instead : event);
      execution = advanced.execution;
      effects.push(...advanced.effects);
    }
    return { execution, effects, events };
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
      await this.#pause(RETRY_MS);
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

  // Effects

  #carryOut(held: Held, execution: Execution, effect: Effect): void {
    switch (effect.type) {
      case 'setTimer':
        held.timers.add(effect.timer);
        this.#timers.set(held.key(effect.timer), effect.atMs);
        return;
      case 'clearTimer':
        held.timers.delete(effect.timer);
        this.#timers.clear(held.key(effect.timer));
        return;
      case 'cancelTask': // Before the turn was stored.
        return;
      case 'runTask':
        if (taskWait(execution, effect.task)) this.#runTask(held, execution, effect, false);
        return;
      case 'readItems':
      case 'writeResults': {
        const error = effect.type === 'readItems' ? 'States.ItemReaderFailed' : 'States.ResultWriterFailed';
        const cause =
          'Items of a Map come from its input: files and buckets are not read or written here yet.';
        this.#tell(held, { type: 'taskFailed', task: effect.task, error, cause });
        return;
      }
      case 'ended':
        return;
    }
  }

  #timerFired(key: string): void {
    const at = key.lastIndexOf('/');
    const held = this.#held.get(key.slice(0, at));
    const timer = key.slice(at + 1);
    held?.timers.delete(timer);
    if (held !== undefined) this.#tell(held, { type: 'timerFired', timer });
  }

  #taskFor({ resource }: RunTask): Task | undefined {
    return this.#parts.tasks.get(this.#parts.taskName(resource));
  }

  #runTask(held: Held, execution: Execution, request: RunTask, again: boolean): void {
    const task = this.#taskFor(request);
    if (task === undefined || task.notYet !== undefined) {
      const cause = `This server has no task ${request.resource}${task?.notYet ? `: ${task.notYet}` : ''}.`;
      this.#tell(held, { type: 'taskFailed', task: request.task, error: 'States.Runtime', cause });
      return;
    }
    if (task.repeat === 'never') {
      this.#tell(held, { type: 'taskStarted', task: request.task }, { begins: request });
      return;
    }
    this.#begin(held, execution, request, again);
  }

  #begin(held: Held, execution: Execution, request: RunTask, again: boolean): void {
    const task = this.#taskFor(request);
    if (task === undefined || held.gone || this.#stopping.signal.aborted) return;
    const call = {
      key: held.key(request.task),
      execution: held.id,
      pipeline: held.pipeline,
      actor: held.actor,
      ...(held.rights && { rights: held.rights }),
      request,
      arguments: request.arguments,
      sinceMs: enteredAtMs(execution, request.task),
      again,
      beat: () => this.#tell(held, { type: 'taskHeartbeat', task: request.task }),
    };
    this.#running.begin(task, call, held.priority, (end) => this.#tell(held, end));
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch((thrown: unknown) => {
      if (!this.#stopping.signal.aborted) this.#warn(thrown, 'an execution could not be carried on for now');
    });
    this.#work.add(tracked);
    void tracked.finally(() => this.#work.delete(tracked));
  }

  async #pause(ms: number): Promise<void> {
    // Aborted only when the server closes, which every caller looks for.
    await this.#parts.clock.sleep(ms, this.#stopping.signal).catch(() => undefined);
  }

  #warn(thrown: unknown, message: string): void {
    const { code, message: why } = asKilnError(thrown);
    this.#parts.log.warn({ code, why }, message);
  }
}

function abortion(facts: { atMs: number; entropy: string }, message: string): ExecutionEvent {
  const cause = `The interpreter failed: ${message}`;
  return { type: 'aborted', ...facts, error: 'Kiln.Internal', cause };
}

/** What waits for this task; undefined: nothing does any more. */
function taskWait(execution: Execution, task: string): TaskWait | undefined {
  for (const { waitsFor } of Object.values(execution.threads)) {
    if (waitsFor.kind === 'task' && waitsFor.request.task === task) return waitsFor;
  }
  return undefined;
}

function enteredAtMs(execution: Execution, task: string): number {
  const waiting = Object.values(execution.threads).find(
    ({ waitsFor }) => waitsFor.kind === 'task' && waitsFor.request.task === task,
  );
  return waiting?.enteredAtMs ?? execution.startedAtMs;
}
