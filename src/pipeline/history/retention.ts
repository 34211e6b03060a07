/**
 * Executions that have ended are kept by count and by age, and their logs with them. A round sweeps what is beyond;
 * then it removes logs of executions that the store does not know: those of the swept ones, and what a crash between
 * the two has left. Logs lie on each server's own disk, so every server does that for itself.
 */
import type { Clock } from '../../domain/ports/clock.ts';
import type { ExecutionHistoryStore, Keeping } from '../../domain/ports/execution-history.ts';
import type { ExecutionStore } from '../../domain/ports/executions.ts';
import type { DiskTaskLogs } from '../logs/task-logs.ts';

export interface RetentionParts {
  readonly history: ExecutionHistoryStore;
  readonly executions: Pick<ExecutionStore, 'get'>;
  readonly logs: Pick<DiskTaskLogs, 'executions' | 'remove'>;
  readonly keeping: Keeping;
  readonly clock: Clock;
  readonly log: { info(fields: Readonly<Record<string, unknown>>, message: string): void };
}

const DAY_MS = 86_400_000;
/** Whoever waits for an execution still reads how it ended. */
const SPARED_MS = 3_600_000;
const BATCH = 100;

export class Retention {
  readonly #parts: RetentionParts;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** How many were swept. */
  async round(signal: AbortSignal): Promise<number> {
    const { history, keeping, clock, log } = this.#parts;
    let swept = 0;
    for (const pipeline of await history.pipelines()) {
      const { all, of } = keeping;
      const { executions: count = all.executions, days = all.days } = of[pipeline] ?? {};
      const nowMs = clock.now();
      const limits = { endedFromMs: nowMs - days * DAY_MS, sparedFromMs: nowMs - SPARED_MS };
      for (let gone = BATCH; gone === BATCH && !signal.aborted; ) {
        const by = { actor: 'retention', atMs: nowMs };
        gone = (await history.sweep({ pipeline, count, ...limits }, BATCH, by)).length;
        swept += gone;
      }
    }
    await this.#removeLogs(signal);
    if (swept > 0) log.info({ swept }, 'executions that are not kept any more were removed');
    return swept;
  }

  async #removeLogs(signal: AbortSignal): Promise<void> {
    const { logs, executions } = this.#parts;
    for (const id of await logs.executions()) {
      if (signal.aborted) return;
      if ((await executions.get(id)) === undefined) await logs.remove(id);
    }
  }
}
