/**
 * Answers to tasks that wait for their token (`.waitForTaskToken`): whoever has the token says once how the task ended,
 * and as often as need be that it is still at work. A token is the id of its execution and what nobody can guess.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { KilnError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { ExecutionSignal, ExecutionStore } from '../../domain/ports/executions.ts';
import type { Execution } from '../asl/execution.ts';
import { isObject, type Json } from '../asl/json.ts';
import type { Starter } from '../pipelines.ts';
import type { Machines } from './machines.ts';
import { type SignalBody, stateOf } from './stored-state.ts';

export type TokenAnswer =
  | { readonly output: Json }
  | { readonly error?: string; readonly cause?: string }
  | 'heartbeat';

export interface TaskTokensParts {
  readonly store: Pick<ExecutionStore, 'load' | 'signal'>;
  readonly machines: Machines;
  readonly clock: Clock;
}

export class TaskTokens {
  readonly #parts: TaskTokensParts;

  constructor(parts: TaskTokensParts) {
    this.#parts = parts;
  }

  /** Fails with `not-found` when no task waits for this token, and `input.conflict` when it has been answered. */
  async answer(token: string, answer: TokenAnswer, { actor, attempt }: Starter): Promise<void> {
    const { store, machines, clock } = this.#parts;
    const id = token.slice(0, token.lastIndexOf('.'));
    const [stored] = await store.load([id]);
    if (stored === undefined) throw unknownToken();
    const execution = await stateOf(await machines.get(stored.record.definition), stored);
    const task = taskOf(execution, token);
    if (task === undefined) throw unknownToken();
    if (stored.signals.some((signal) => ends(signal, task))) {
      throw new KilnError('input.conflict', 'This token has been answered already.', {
        next: `See how the execution goes on: kiln pipeline show ${id}`,
      });
    }
    const change = { actor, atMs: clock.now(), ...(attempt && { attempt }) };
    const kept = await store.signal(id, 'execution.token', bodyOf(task, answer), change);
    if (!kept) throw unknownToken();
  }
}

function bodyOf(task: string, answer: TokenAnswer): SignalBody {
  if (answer === 'heartbeat') return { type: 'taskHeartbeat', task };
  return 'output' in answer
    ? { type: 'taskSucceeded', task, output: answer.output }
    : { type: 'taskFailed', task, ...answer };
}

function taskOf(execution: Execution, token: string): string | undefined {
  for (const { waitsFor } of Object.values(execution.threads)) {
    if (waitsFor.kind !== 'task') continue;
    const { task, token: wanted } = waitsFor.request;
    if (wanted !== undefined && isEqual(wanted, token)) return task;
  }
  return undefined;
}

/** In a time that tells nothing of how much of it is right. */
function isEqual(wanted: string, given: string): boolean {
  const [one, other] = [wanted, given].map((text) => createHash('sha256').update(text).digest());
  return one !== undefined && other !== undefined && timingSafeEqual(one, other);
}

function ends({ body }: ExecutionSignal, task: string): boolean {
  return isObject(body) && body.task === task && body.type !== 'taskHeartbeat';
}

function unknownToken(): KilnError {
  return new KilnError('not-found', 'No task waits for this token.', {
    next: 'Its task has ended, was tried again under another token, or it is not a token of this Kiln.',
  });
}
