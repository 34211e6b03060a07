/**
 * Carries out what `rebake-plan.ts` decides: bakes again, has it checked, promotes. Nothing of what it is at is kept in
 * memory alone; each step is found again from the store, so that whoever goes on after a crash goes on there: a bake
 * finds its image by the key of its inputs, a check that was cut off is begun anew, a channel is moved from the image
 * that is to be replaced and from no other.
 */
import { asKilnError, KilnError } from '../domain/errors.ts';
import type { ChannelName, ImageId, Revision } from '../domain/ids.ts';
import { asTested, type Image } from '../domain/image.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { RebakeRecord } from '../domain/rebake.ts';
import { promote } from './promote.ts';
import { planRebakes, type RebakeStep, type RebakeSubject } from './rebake-plan.ts';
import { type Observed, observeRebakes, REBAKER, type RebakeCatalogue } from './rebake-view.ts';

/** Demands are met by time passing too. */
const ROUND_MS = 60_000;
const AFTER_FAILURE_MS = 5_000;
const EVENTS_AT_A_TIME = 500;
/** What changes which images are outdated, or what became of them. */
const NEWS = /^(?:channel|image|rebake)\./;
const PLACES = 2;
const RECENT = 20;

export interface RebakesParts {
  readonly store: RebakeCatalogue;
  readonly clock: Clock;
  readonly log: {
    info(fields: Readonly<Record<string, unknown>>, message: string): void;
    warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  };
  /** Id of this server's state directory, as images note it with their source. */
  readonly server: string;
  /** Bakes the source of an image on its base as it is now. */
  readonly bake: (image: Image, actor: string, signal: AbortSignal) => Promise<Image>;
  /** Fails when the checks could not be carried out, not when some of them failed. */
  readonly check: (image: Image, actor: string, signal: AbortSignal) => Promise<void>;
}

export interface RebakeStatus {
  readonly image: Image;
  readonly base: string;
  readonly step: RebakeStep;
  /** Images that the step names. */
  readonly onto?: Image;
  readonly made?: Image;
  /** True: this server is at it now. */
  readonly running: boolean;
}

export class Rebakes {
  readonly #parts: RebakesParts;
  readonly #closing = new AbortController();
  readonly #active = new Map<ImageId, Promise<void>>();
  #wake = Promise.withResolvers<void>();
  #rounds: Promise<void> = Promise.resolve();

  constructor(parts: RebakesParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#rounds = this.#goOn();
  }

  async close(): Promise<void> {
    this.#closing.abort(new KilnError('aborted', 'The server is stopping.', { retryable: true }));
    await this.#rounds;
    await Promise.all(this.#active.values());
  }

  /** Every image that follows its base and is behind, with what comes next for it. */
  async status(): Promise<readonly RebakeStatus[]> {
    const { store, server, clock } = this.#parts;
    const { view, images } = await observeRebakes(store, server, clock.now());
    const steps = planRebakes(view);
    const found: RebakeStatus[] = [];
    for (const { image: id, base } of view.subjects) {
      const [image, step] = [images.get(id), steps.get(id)];
      if (image === undefined || step === undefined) continue;
      const onto = images.get(view.heads.get(base) ?? id);
      const made = 'made' in step && step.made !== undefined ? images.get(step.made) : undefined;
      found.push({
        image,
        base,
        step,
        ...(onto === undefined || onto.id === id ? {} : { onto }),
        ...(made === undefined ? {} : { made }),
        running: this.#active.has(id),
      });
    }
    return found;
  }

  /** The last ones that ended, newest first. */
  recent(): Promise<readonly RebakeRecord[]> {
    return this.#parts.store.rebakes.list(RECENT);
  }

  /** Forgets that it failed; answers whether it had. */
  async retry(image: Image, actor: string): Promise<boolean> {
    const { store, clock } = this.#parts;
    return (await store.rebakes.retry(image.id, { actor, atMs: clock.now() })) > 0;
  }

  async #goOn(): Promise<void> {
    const { store, log } = this.#parts;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const seen = await store.events.revision();
        await this.#round();
        await this.#news(seen);
      } catch (thrown) {
        if (signal.aborted) return;
        // All of it is in the store: the next round finds it there.
        log.warn({ err: asKilnError(thrown) }, 'a round of baking again failed');
        await this.#pause(AFTER_FAILURE_MS);
      }
    }
  }

  async #round(): Promise<void> {
    const { store, server, clock } = this.#parts;
    const observed = await observeRebakes(store, server, clock.now());
    const steps = planRebakes(observed.view);
    for (const subject of observed.view.subjects) {
      const step = steps.get(subject.image);
      if (step === undefined || this.#active.has(subject.image) || this.#active.size >= PLACES) continue;
      const work = this.#workOf(subject, step, observed);
      if (work === undefined) continue;
      this.#active.set(subject.image, this.#carryOut(subject, work));
    }
  }

  async #carryOut({ image }: RebakeSubject, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#active.delete(image);
      this.#wake.resolve();
    } catch (thrown) {
      // Not at once again: what stands in the way is still there. The next news or the next minute finds it.
      this.#active.delete(image);
      if (!this.#closing.signal.aborted) {
        this.#parts.log.warn({ err: asKilnError(thrown), image }, 'a step of baking again failed');
      }
    }
  }

  #workOf(subject: RebakeSubject, step: RebakeStep, { images }: Observed): (() => Promise<void>) | undefined {
    const image = images.get(subject.image);
    const made = 'made' in step && step.made !== undefined ? images.get(step.made) : undefined;
    if (step.kind === 'bakes' && image !== undefined) return () => this.#bake(image, step.onto);
    if (made === undefined) return undefined;
    if (step.kind === 'checks') return () => this.#check(subject, made, step.onto);
    if (step.kind === 'promotes') return () => this.#promote(subject, made, step.channels);
    return undefined;
  }

  async #bake(image: Image, onto: ImageId): Promise<void> {
    const { store, bake } = this.#parts;
    const { component, version } = image;
    await store.events.append('rebake.begun', image.id, { component, version, onto }, this.#change());
    let made: Image;
    try {
      made = await bake(image, REBAKER, this.#closing.signal);
    } catch (thrown) {
      await this.#recordFailure(image.id, onto, thrown);
      return;
    }
    // The base may have moved on meanwhile: noted is what it really stands on.
    const record = { image: image.id, onto: made.parent ?? onto };
    const checked = asTested(made) !== undefined;
    await store.rebakes.record(
      { ...record, outcome: { kind: 'made', made: made.id, checked } },
      this.#change(),
    );
  }

  async #check({ image }: RebakeSubject, made: Image, onto: ImageId): Promise<void> {
    const { store, check } = this.#parts;
    try {
      await check(made, REBAKER, this.#closing.signal);
    } catch (thrown) {
      await this.#recordFailure(image, onto, thrown, made.id);
      return;
    }
    const outcome = { kind: 'made', made: made.id, checked: true } as const;
    await store.rebakes.record({ image, onto, outcome }, this.#change());
  }

  async #promote(
    { image, base }: RebakeSubject,
    made: Image,
    channels: readonly ChannelName[],
  ): Promise<void> {
    const { store } = this.#parts;
    const { component } = made;
    const why = `baked again: ${base} has moved on`;
    for (const channel of channels) {
      // Only in the place of the one that it replaces: who moved the channel meanwhile is right.
      await promote(store, { component, image: made, channel, expected: image, why }, this.#change());
    }
  }

  async #recordFailure(image: ImageId, onto: ImageId, thrown: unknown, made?: ImageId): Promise<void> {
    // A server that stops has said nothing about the image: the next one tries.
    if (this.#closing.signal.aborted) throw thrown;
    const { code, message, next, retryable } = asKilnError(thrown);
    const outcome = {
      kind: 'failed',
      code,
      message,
      ...(next === undefined ? {} : { next }),
      ...(retryable ? { retryable } : {}),
      ...(made === undefined ? {} : { made }),
    } as const;
    await this.#parts.store.rebakes.record({ image, onto, outcome }, this.#change());
  }

  #change(): { readonly actor: string; readonly atMs: number } {
    return { actor: REBAKER, atMs: this.#parts.clock.now() };
  }

  /** Until something of interest was written after `seen`, a step has ended, or a minute has gone by. */
  async #news(seen: Revision): Promise<void> {
    const waiting = new AbortController();
    const signal = AbortSignal.any([waiting.signal, this.#closing.signal]);
    const heard = this.#newsAfter(seen, signal);
    // Whoever loses the race is aborted, and that is no news.
    heard.catch(() => undefined);
    try {
      await Promise.race([heard, this.#wake.promise, this.#pause(ROUND_MS, signal)]);
    } finally {
      waiting.abort();
      this.#wake = Promise.withResolvers<void>();
    }
  }

  async #newsAfter(seen: Revision, signal: AbortSignal): Promise<void> {
    const { events } = this.#parts.store;
    for (let revision = seen; ; ) {
      await events.waitAfter(revision, signal);
      const some = await events.after(revision, EVENTS_AT_A_TIME);
      if (some.some(({ kind }) => NEWS.test(kind))) return;
      revision = some.at(-1)?.revision ?? revision;
    }
  }

  async #pause(ms: number, signal = this.#closing.signal): Promise<void> {
    try {
      await this.#parts.clock.sleep(ms, signal);
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }
}
