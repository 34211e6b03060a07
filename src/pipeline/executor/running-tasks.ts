/** Tasks that this server is at work on. Each is told how it ended once, unless it is stopped before. */
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { Json } from '../asl/json.ts';
import { type Task, type TaskCall, TaskCancelled, TaskFailed } from '../task.ts';
import { Places } from './places.ts';
import type { EventPart } from './stored-state.ts';

export type TaskEnd = Extract<EventPart, { type: 'taskSucceeded' | 'taskFailed' | 'taskSubmitted' }>;

/** Longer than a store is ever busy; what has not ended by then ends by itself. */
const CANCEL_LIMIT_MS = 15_000;
/** Timers of Node end after 24 days. */
const BEAT_LIMIT_MS = 3_600_000;

/** Three times in a heartbeat's time: one that comes late ends nothing. Each is stored, so no more of them. */
export function beatPauseMs(heartbeatMs: number): number {
  return Math.min(heartbeatMs / 3, BEAT_LIMIT_MS);
}

interface Begun {
  readonly before: Promise<void> | undefined;
  readonly stop: AbortController;
  readonly work: () => Promise<Json>;
  readonly onEnd: (end: TaskEnd) => void;
}

export class RunningTasks {
  readonly #places: Places;
  readonly #running = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>();

  constructor(places: number) {
    this.#places = new Places(places);
  }

  isRunning(key: string): boolean {
    return this.#running.get(key)?.stop.signal.aborted === false;
  }

  begin(task: Task, call: TaskCall, onEnd: (end: TaskEnd) => void): void {
    const { key } = call;
    if (this.isRunning(key)) return;
    const before = this.#running.get(key)?.ended;
    const stop = new AbortController();
    const work = async () => {
      if (task.repeat === 'never' && !task.beginsItself) await unlessStopped(call.begins(), stop.signal);
      return task.run(call, stop.signal);
    };
    const running = { stop, ended: this.#run(task, call, { before, stop, work, onEnd }) };
    this.#running.set(key, running);
    void running.ended.then(() => {
      if (this.#running.get(key) === running) this.#running.delete(key);
    });
  }

  async #run(task: Task, call: TaskCall, { before, stop, work, onEnd }: Begun): Promise<void> {
    const { takesPlace } = task;
    const beats = beating(task, call, stop.signal);
    // One that was stopped is over before the next with its key begins.
    await before;
    const takes = typeof takesPlace === 'boolean' ? takesPlace : takesPlace(call.arguments);
    const placed = () => (takes ? this.#places.within(call.priority, stop.signal, work) : work());
    const end = await endOf(call, placed);
    clearInterval(beats);
    if (!stop.signal.aborted) onEnd(end);
  }

  /** Gives the task up; what it began elsewhere goes on. */
  stop(key: string): void {
    this.#running.get(key)?.stop.abort(stopped());
  }

  /** Resolves once the task has ended what it began, or after a while: false when it had not by then. */
  async cancel(key: string): Promise<boolean> {
    const running = this.#running.get(key);
    if (running === undefined) return true;
    running.stop.abort(new TaskCancelled('The task was cancelled.'));
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const limit = setTimeout(() => resolve(false), CANCEL_LIMIT_MS);
    void running.ended.then(() => resolve(true));
    return promise.finally(() => clearTimeout(limit));
  }

  /** All whose keys begin so. */
  stopAll(prefix = ''): void {
    for (const [key, { stop }] of this.#running) if (key.startsWith(prefix)) stop.abort(stopped());
  }

  async close(): Promise<void> {
    this.stopAll();
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }
}

/** Waiting for its turn is being at work, too: a heartbeat says that the server is there. */
function beating(task: Task, call: TaskCall, signal: AbortSignal): NodeJS.Timeout | undefined {
  const { heartbeatMs } = call.request;
  if (heartbeatMs === undefined || task.beatsItself?.(call.arguments)) return undefined;
  return setInterval(() => {
    if (!signal.aborted) call.beat();
  }, beatPauseMs(heartbeatMs));
}

function stopped(): KilnError {
  return new KilnError('aborted', 'The task was stopped.');
}

/** What is asked of an execution that is gone here is never answered. */
export async function unlessStopped<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', onAbort));
}

async function endOf({ request }: TaskCall, work: () => Promise<Json>): Promise<TaskEnd> {
  const { task, ends } = request;
  try {
    const output = await work();
    if (ends === 'tokenReturned') return { type: 'taskSubmitted', task };
    return { type: 'taskSucceeded', task, output: JSON.parse(JSON.stringify(output ?? null)) };
  } catch (thrown) {
    if (thrown instanceof TaskFailed) {
      return { type: 'taskFailed', task, error: thrown.error, cause: thrown.message };
    }
    const { code, message } = asKilnError(thrown);
    return { type: 'taskFailed', task, error: code, cause: message };
  }
}
