/** The janitor's own time: notes now and then which images run, forgets old events, and runs where it is enabled. */
import type { Janitor } from '../catalog/janitor.ts';
import { asKilnError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { EventStore } from '../domain/ports/events.ts';
import type { JanitorStore } from '../domain/ports/janitor.ts';

const ROUND_MS = 3600_000;
const RUN_EVERY_MS = 24 * 3600_000;

interface RoundsLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface RoundsParts {
  readonly janitor: Pick<Janitor, 'run'>;
  readonly store: Pick<JanitorStore, 'state' | 'noteUses'>;
  readonly clock: Clock;
  readonly log: RoundsLog;
  readonly events: Pick<EventStore, 'prune'>;
  readonly keepEventsMs: number;
  /** Where other servers share the catalogue: after a run of theirs, what is kept here is to be collected here. */
  readonly collectBlobs?: () => Promise<{ readonly blobs: number; readonly bytes: number }>;
}

export class JanitorRounds {
  readonly #parts: RoundsParts;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();
  /** The run after which blobs were last collected here. */
  #collectedAfterMs = 0;

  constructor(parts: RoundsParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#round = this.#goRound();
    this.#timer = setInterval(() => {
      this.#round = this.#round.then(() => this.#goRound());
    }, ROUND_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#round;
  }

  async #goRound(): Promise<void> {
    const { janitor, store, clock, log } = this.#parts;
    try {
      const state = await store.state();
      await store.noteUses(clock.now());
      await this.#pruneEvents();
      if (!state.enabled) return;
      if (clock.now() - (state.lastRunAtMs ?? 0) < RUN_EVERY_MS) {
        await this.#collectAfter(state.lastRunAtMs ?? 0);
        return;
      }
      const run = await janitor.run({ actor: 'janitor', dryRun: false }, this.#stop.signal);
      log.info(
        { ...run },
        run.refused === undefined ? 'the janitor has run' : 'the janitor has refused to run',
      );
    } catch (thrown) {
      // The next round tries again; until then the view only grows older, and an old one is refused.
      if (!this.#stop.signal.aborted) log.warn({ err: asKilnError(thrown) }, 'a round of the janitor failed');
    }
  }

  async #pruneEvents(): Promise<void> {
    const { events, keepEventsMs, clock } = this.#parts;
    const olderThanMs = clock.now() - keepEventsMs;
    while (!this.#stop.signal.aborted && (await events.prune(olderThanMs)) > 0);
  }

  async #collectAfter(runAtMs: number): Promise<void> {
    const { collectBlobs, log } = this.#parts;
    if (collectBlobs === undefined || runAtMs <= this.#collectedAfterMs) return;
    const collected = await collectBlobs();
    this.#collectedAfterMs = runAtMs;
    log.info({ ...collected }, 'blobs were collected after a run of the janitor elsewhere');
  }
}
