/**
 * Nothing is open for ever: an execution that has been open for longer than any may be is cancelled, and so is all that
 * it began. It holds for those that wait in a group, too, and for tasks whose state says no time-out.
 */
import type { Clock } from '../../domain/ports/clock.ts';
import type { ExecutionStore } from '../../domain/ports/executions.ts';
import type { SignalBody } from './stored-state.ts';

export interface OverdueParts {
  readonly executions: Pick<ExecutionStore, 'list' | 'signal'>;
  readonly longestMs: number;
  readonly clock: Clock;
  readonly log: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
}

export const LONGEST_SETTING = 'pipelines.longestDays in settings.yaml';
const PAGE = 500;

export class Overdue {
  readonly #parts: OverdueParts;

  constructor(parts: OverdueParts) {
    this.#parts = parts;
  }

  /** Those that were told to end. */
  async round(): Promise<readonly string[]> {
    const { executions, longestMs, clock, log } = this.#parts;
    const beforeMs = clock.now() - longestMs;
    const overdue: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await executions.list({ open: true }, { limit: PAGE, ...(cursor && { cursor }) });
      overdue.push(...page.items.filter(({ createdAtMs }) => createdAtMs < beforeMs).map(({ id }) => id));
      cursor = page.cursor;
      if (cursor === undefined) break;
    }
    const cause = `It was open for more than ${longestMs / 86_400_000} days (${LONGEST_SETTING}).`;
    const body: SignalBody = { type: 'aborted', error: 'Kiln.Overdue', cause };
    const change = { actor: 'kiln', atMs: clock.now() };
    for (const execution of overdue) {
      await executions.signal(execution, 'execution.cancel', body, change);
      log.warn({ execution }, 'open for too long: cancelled');
    }
    return overdue;
  }
}
