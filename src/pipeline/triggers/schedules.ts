/**
 * Schedules of sources. What was due while no server was there is due once when one is there again, unless the schedule
 * says `missed: skip`: then only what is late by no more than a restart.
 */
import type { TriggerStore } from '../../domain/ports/triggers.ts';
import type { PipelineSource } from '../../domain/trigger.ts';
import { parseCron } from './cron.ts';
import type { TriggerInbox } from './inbox.ts';
import { lastTime } from './next-time.ts';

const LATE_MS = 60_000;

/** Asks for what was due since it was asked last. A source counts from when it was registered. */
export async function takeDue(
  store: Pick<TriggerStore, 'cursor' | 'note'>,
  inbox: Pick<TriggerInbox, 'startFor'>,
  sources: readonly PipelineSource[],
  nowMs: number,
): Promise<void> {
  for (const { id, triggers, createdAtMs } of sources) {
    for (const { cron, timeZone, missed } of triggers.schedule) {
      const name = `schedule/${id}/${cron}/${timeZone}`;
      const since = (await store.cursor(name)) ?? createdAtMs;
      const dueAtMs = lastTime(parseCron(cron), timeZone, since, nowMs);
      if (dueAtMs === undefined) continue;
      if (missed === 'once' || nowMs - dueAtMs <= LATE_MS) {
        const event = { kind: 'schedule', source: id, cron, timeZone, dueAtMs } as const;
        await inbox.startFor(event, { actor: 'schedule' });
      }
      // After the event is stored, whose key keeps it from being taken twice.
      await store.note(name, dueAtMs);
    }
  }
}
