/** An execution that this server carries on. */
import type { ExecutionRecord } from '../../domain/ports/executions.ts';
import type { Execution, ExecutionEvent } from '../asl/execution.ts';

export interface Incoming {
  readonly event: ExecutionEvent;
  /** Called once the event is durable. */
  readonly stored?: () => void;
  /** Number of the signal that this event carries out. */
  readonly signal?: number;
}

export class Held {
  readonly id: string;
  readonly fence: number;
  /** Its state, while that is in memory. */
  execution: Execution | undefined;
  readonly inbox: Incoming[] = [];
  turning = false;
  /** Somebody else has it, or it has ended: nothing is done for it here any more. */
  gone = false;
  sequence = 0;
  snapshotSequence = 0;
  definition = '';
  pipeline = '';
  actor = '';
  rights: ExecutionRecord['rights'];
  priority = 0;
  /** Timers that are set for it. */
  readonly timers = new Set<string>();
  #heard = 0;

  constructor(id: string, fence: number) {
    this.id = id;
    this.fence = fence;
  }

  /** Name of one of its tasks or timers, among those of all executions. */
  key(taskOrTimer: string): string {
    return `${this.id}/${taskOrTimer}`;
  }

  stands(record: ExecutionRecord, snapshotSequence: number, execution: Execution): void {
    this.sequence = record.sequence;
    this.snapshotSequence = snapshotSequence;
    this.definition = record.definition;
    this.pipeline = record.pipeline;
    this.actor = record.createdBy;
    this.rights = record.rights;
    this.priority = record.priority;
    this.execution = execution;
  }

  moved(execution: Execution, sequence: number, isSnapshot: boolean): void {
    this.execution = execution;
    this.sequence = sequence;
    if (isSnapshot) this.snapshotSequence = sequence;
  }

  /** True once for each signal: they are read more than once before they are carried out. */
  isNews(signal: number): boolean {
    if (signal <= this.#heard) return false;
    this.#heard = signal;
    return true;
  }

  /** True: something about this task is in the inbox. */
  awaitsNews(task: string): boolean {
    return this.inbox.some(({ event }) => 'task' in event && event.task === task);
  }

  forgetNews(): void {
    this.#heard = 0;
  }
}
