/** What the janitor does when its time comes round: notes now and then which images run, forgets old events, and runs where it is enabled. */
import type { Janitor } from '../catalog/janitor.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { EventStore } from '../domain/ports/events.ts';
import type { JanitorStore } from '../domain/ports/janitor.ts';

const RUN_EVERY_MS = 24 * 3600_000;

export interface JanitorRoundParts {
  readonly janitor: Pick<Janitor, 'run'>;
  readonly store: Pick<JanitorStore, 'state' | 'noteUses'>;
  readonly clock: Clock;
  readonly log: { info(fields: Readonly<Record<string, unknown>>, message: string): void };
  readonly events: Pick<EventStore, 'prune'>;
  readonly keepEventsMs: number;
  /** Where other servers share the catalogue: after a run of theirs, what is kept here is to be collected here. */
  readonly collectBlobs?: () => Promise<{ readonly blobs: number; readonly bytes: number }>;
}

export class JanitorRound {
  readonly #parts: JanitorRoundParts;
  /** The run after which blobs were last collected here. */
  #collectedAfterMs = 0;

  constructor(parts: JanitorRoundParts) {
    this.#parts = parts;
  }

  async go(signal: AbortSignal): Promise<void> {
    const { janitor, store, clock, log } = this.#parts;
    const state = await store.state();
    await store.noteUses(clock.now());
    await this.#pruneEvents(signal);
    if (!state.enabled) return;
    if (clock.now() - (state.lastRunAtMs ?? 0) < RUN_EVERY_MS) {
      await this.#collectAfter(state.lastRunAtMs ?? 0);
      return;
    }
    const run = await janitor.run({ actor: 'janitor', dryRun: false }, signal);
    log.info(
      { ...run },
      run.refused === undefined ? 'the janitor has run' : 'the janitor has refused to run',
    );
  }

  async #pruneEvents(signal: AbortSignal): Promise<void> {
    const { events, keepEventsMs, clock } = this.#parts;
    const olderThanMs = clock.now() - keepEventsMs;
    while (!signal.aborted && (await events.prune(olderThanMs)) > 0);
  }

  async #collectAfter(runAtMs: number): Promise<void> {
    const { collectBlobs, log } = this.#parts;
    if (collectBlobs === undefined || runAtMs <= this.#collectedAfterMs) return;
    const collected = await collectBlobs();
    this.#collectedAfterMs = runAtMs;
    log.info({ ...collected }, 'blobs were collected after a run of the janitor elsewhere');
  }
}
