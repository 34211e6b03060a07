/** Carries out what an execution has asked for: timers are set, tasks are begun, and ended when nobody waits for them. */

import type { Effect, Execution, ReadItems, RunTask, WriteResults } from '../asl/execution.ts';
import type { MapTransfers } from '../items/map-transfers.ts';
import { transferEnd, transferTask } from '../items/transfer-task.ts';
import { lostCause, lostTask } from '../lost-task.ts';
import { OUTCOME_UNKNOWN, type SourceHere, type Task, type TaskCall } from '../task.ts';
import { enteredAtMs, taskWait } from './apply-events.ts';
import type { Held } from './held.ts';
import type { RunningTasks } from './running-tasks.ts';
import type { EventPart } from './stored-state.ts';
import type { Timers } from './timers.ts';

export interface TaskEffectsParts {
  readonly tasks: ReadonlyMap<string, Task>;
  /** Name of the task that a resource asks for. */
  readonly taskName: (resource: string) => string;
  /** Of items and results of distributed Maps; without it they fail. */
  readonly transfers?: Pick<MapTransfers, 'read' | 'write'>;
  /** Without it tasks are given what stands in their execution. */
  readonly sourceHere?: SourceHere;
  readonly timers: Timers;
  readonly running: RunningTasks;
  readonly tell: (held: Held, part: EventPart) => void;
  /** Resolves once it is stored. */
  readonly tellDurably: (held: Held, part: EventPart) => Promise<void>;
}

export class TaskEffects {
  readonly #parts: TaskEffectsParts;

  constructor(parts: TaskEffectsParts) {
    this.#parts = parts;
  }

  carryOut(held: Held, execution: Execution, effect: Effect): void {
    const { timers } = this.#parts;
    switch (effect.type) {
      case 'setTimer':
        held.timers.add(effect.timer);
        timers.set(held.key(effect.timer), effect.atMs);
        return;
      case 'clearTimer':
        held.timers.delete(effect.timer);
        timers.clear(held.key(effect.timer));
        return;
      case 'runTask':
        if (taskWait(execution, effect.task)) this.#runTask(held, execution, effect, false);
        return;
      case 'readItems':
      case 'writeResults':
        this.#transfer(held, execution, effect);
        return;
      case 'cancelTask': // Before the turn was stored: `cancel`.
      case 'ended':
        return;
    }
  }

  /** After a load: what was asked for and not answered. A task that must not run twice and has begun, is lost. */
  resume(held: Held, execution: Execution, effect: Effect): void {
    if (effect.type !== 'runTask') {
      this.carryOut(held, execution, effect);
      return;
    }
    const { running, tell } = this.#parts;
    const wait = taskWait(execution, effect.task);
    if (wait?.submitted || held.awaitsNews(effect.task) || running.isRunning(held.key(effect.task))) return;
    const task = this.#taskFor(effect);
    if (wait?.started && task?.repeat === 'never') {
      const outlivesMs = task.outlivesServerMs?.(effect.arguments) ?? 0;
      if (outlivesMs > 0) {
        const call = this.#callOf(held, execution, effect, true);
        running.begin(lostTask(task, outlivesMs), call, (end) => tell(held, end));
        return;
      }
      const cause = lostCause(effect.state);
      tell(held, { type: 'taskFailed', task: effect.task, error: OUTCOME_UNKNOWN, cause });
      return;
    }
    this.#runTask(held, execution, effect, true);
  }

  /** Before the turn is stored: a server that dies in between hears the same signal, or timer, again. */
  async cancel(held: Held, effects: readonly Effect[]): Promise<boolean> {
    const tasks = effects.flatMap((effect) => (effect.type === 'cancelTask' ? [effect.task] : []));
    const ended = await Promise.all(tasks.map((task) => this.#parts.running.cancel(held.key(task))));
    return !ended.includes(false);
  }

  #taskFor({ resource }: RunTask): Task | undefined {
    return this.#parts.tasks.get(this.#parts.taskName(resource));
  }

  /** Once: a load finds it still at work, or its answer in the inbox. */
  #transfer(held: Held, execution: Execution, effect: ReadItems | WriteResults): void {
    const { running, tell, transfers } = this.#parts;
    const { task, state, resource, arguments: given } = effect;
    if (held.awaitsNews(task)) return;
    const rights = held.rights && { rights: held.rights };
    const call: TaskCall = {
      key: held.key(task),
      execution: held.id,
      pipeline: held.pipeline,
      actor: held.actor,
      ...rights,
      request: {
        type: 'runTask',
        task,
        state,
        resource,
        arguments: given,
        ends: 'answered',
        attempt: 0,
        timeoutAtMs: 0,
      },
      arguments: given,
      priority: held.priority,
      sinceMs: execution.startedAtMs,
      again: false,
      begins: async () => undefined,
      beat: () => undefined,
    };
    const transfer = transferTask(transfers, effect, { input: execution.input, ...rights });
    running.begin(transfer, call, (end) => tell(held, transferEnd(effect, end)));
  }

  #runTask(held: Held, execution: Execution, request: RunTask, again: boolean): void {
    const { running, tell } = this.#parts;
    const { task: id, resource } = request;
    const task = this.#taskFor(request);
    if (task === undefined || task.notYet !== undefined) {
      const cause = `This server has no task ${resource}${task?.notYet ? `: ${task.notYet}` : ''}.`;
      tell(held, { type: 'taskFailed', task: id, error: 'States.Runtime', cause });
      return;
    }
    const call = this.#callOf(held, execution, request, again);
    running.begin(this.#atSource(task, execution), call, (end) => tell(held, end));
  }

  #callOf(held: Held, execution: Execution, request: RunTask, again: boolean): TaskCall {
    const { tell, tellDurably } = this.#parts;
    const { task: id } = request;
    return {
      key: held.key(id),
      execution: held.id,
      pipeline: held.pipeline,
      actor: held.actor,
      ...(held.rights && { rights: held.rights }),
      request,
      arguments: request.arguments,
      priority: held.priority,
      sinceMs: enteredAtMs(execution, id),
      again,
      begins: () => tellDurably(held, { type: 'taskStarted', task: id }),
      beat: () => tell(held, { type: 'taskHeartbeat', task: id }),
    };
  }

  #atSource(task: Task, { input }: Execution): Task {
    const { sourceHere } = this.#parts;
    if (sourceHere === undefined) return task;
    const run: Task['run'] = async (call, signal) =>
      task.run({ ...call, arguments: await sourceHere(input, call.arguments, signal) }, signal);
    return { ...task, run };
  }
}
