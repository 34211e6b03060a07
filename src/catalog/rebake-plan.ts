/**
 * What to bake again, check and promote next, after bases have moved on. Pure: the same view gives the same answer, so
 * that a server that was killed goes on where the store says it is.
 *
 * An image that asks for it (`rebake` in its kiln.yaml) follows its base through these states:
 *
 *   waits ─► bakes ─► checks ─► promotes ─► done
 *     │        │         │          │
 *     └────────┴─ failed ┘        held (a demand of its channel is not met yet)
 *
 * - Parents first: while the image that its base's channel holds is itself about to be replaced, it waits, so that each
 *   image is baked once for however many moves above it.
 * - A failure concerns its own branch: who waited for it goes on with what the channel holds.
 * - One image on one base is baked once. It is tried again when the base moves on, or when somebody asks for it.
 * - Never in a circle: a component is not baked on a base that was baked from that component.
 */
import type { ChannelName, ComponentName, ImageId } from '../domain/ids.ts';
import type { RebakeOutcome } from '../domain/rebake.ts';

/** An outdated image that asks to be baked again. */
export interface RebakeSubject {
  readonly image: ImageId;
  readonly component: ComponentName;
  /** `component@channel` that it was baked from. */
  readonly base: string;
  /** The image that this was then. */
  readonly parent: ImageId;
  /** Channels that hold it and that the new image may take over. */
  readonly channels: readonly ChannelName[];
  /** True: its source is this server's to bake. */
  readonly here: boolean;
}

export interface MadeImage {
  /** Undefined: it may be promoted; otherwise why not. */
  readonly unfit?: string;
  /** Of the channels that it may take over, what each still demands; none: it can move now. */
  readonly unmet: ReadonlyMap<ChannelName, readonly string[]>;
}

export interface RebakeView {
  readonly subjects: readonly RebakeSubject[];
  /** What each base's channel holds, by `component@channel`; revoked images are none. */
  readonly heads: ReadonlyMap<string, ImageId>;
  /** By `rebakeKey`. */
  readonly outcomes: ReadonlyMap<string, RebakeOutcome>;
  /** What was made, by its id. */
  readonly made: ReadonlyMap<ImageId, MadeImage>;
  /** Components that a head was baked from, its own included. */
  readonly ancestry: ReadonlyMap<ImageId, ReadonlySet<ComponentName>>;
}

export type RebakeStep =
  /** `on`: what is replaced first; absent: nothing will be, since its base is outdated and stays so. */
  | { readonly kind: 'waits'; readonly on?: ImageId; readonly why: string }
  | { readonly kind: 'bakes'; readonly onto: ImageId }
  | { readonly kind: 'checks'; readonly onto: ImageId; readonly made: ImageId }
  | {
      readonly kind: 'promotes';
      readonly onto: ImageId;
      readonly made: ImageId;
      readonly channels: readonly ChannelName[];
    }
  /** What its channels still demand; none: there is no channel to take over, and it is done. */
  | { readonly kind: 'held'; readonly made: ImageId; readonly unmet: MadeImage['unmet'] }
  | { readonly kind: 'failed'; readonly why: string; readonly next?: string; readonly made?: ImageId }
  /** Another server has its source. */
  | { readonly kind: 'elsewhere' };

export function rebakeKey(image: ImageId, onto: ImageId): string {
  return `${image} ${onto}`;
}

export function planRebakes(view: RebakeView): ReadonlyMap<ImageId, RebakeStep> {
  const planner = new Planner(view);
  return new Map(view.subjects.map((subject) => [subject.image, planner.stepOf(subject)]));
}

class Planner {
  readonly #view: RebakeView;
  readonly #subjects: ReadonlyMap<ImageId, RebakeSubject>;
  readonly #steps = new Map<ImageId, RebakeStep>();
  /** Those whose step is being found out: coming back to one is a circle, in which nobody waits for it. */
  readonly #asked = new Set<ImageId>();

  constructor(view: RebakeView) {
    this.#view = view;
    this.#subjects = new Map(view.subjects.map((subject) => [subject.image, subject]));
  }

  stepOf(subject: RebakeSubject): RebakeStep {
    const known = this.#steps.get(subject.image);
    if (known !== undefined) return known;
    this.#asked.add(subject.image);
    const step = this.#find(subject);
    this.#asked.delete(subject.image);
    this.#steps.set(subject.image, step);
    return step;
  }

  #find(subject: RebakeSubject): RebakeStep {
    const { heads, outcomes, ancestry } = this.#view;
    const onto = heads.get(subject.base);
    if (onto === undefined) return { kind: 'failed', why: `${subject.base} holds no image that is fit` };
    const mover = this.#moverOf(subject.base, onto);
    if (mover !== undefined) {
      return { kind: 'waits', on: mover, why: `${subject.base} is about to move on` };
    }
    if (onto === subject.parent) {
      return { kind: 'waits', why: `${subject.base} is outdated itself, and stays so` };
    }
    if (ancestry.get(onto)?.has(subject.component) === true) {
      const why = `${subject.base} was itself baked from ${subject.component}: that would never end`;
      return { kind: 'failed', why, next: 'Take one of them off the other.' };
    }
    const outcome = outcomes.get(rebakeKey(subject.image, onto));
    if (outcome?.kind === 'failed') return failed(outcome);
    if (outcome === undefined) return subject.here ? { kind: 'bakes', onto } : { kind: 'elsewhere' };
    if (!outcome.checked)
      return subject.here ? { kind: 'checks', onto, made: outcome.made } : { kind: 'elsewhere' };
    return this.#afterChecks(subject, onto, outcome.made);
  }

  #afterChecks(subject: RebakeSubject, onto: ImageId, made: ImageId): RebakeStep {
    const state = this.#view.made.get(made);
    if (state === undefined) return { kind: 'failed', why: 'what was baked has been swept since' };
    if (state.unfit !== undefined) return { kind: 'failed', why: state.unfit, made };
    const open = subject.channels.filter((channel) => (state.unmet.get(channel) ?? []).length === 0);
    if (open.length > 0) return { kind: 'promotes', onto, made, channels: open };
    const unmet = new Map([...state.unmet].filter(([channel]) => subject.channels.includes(channel)));
    return { kind: 'held', made, unmet };
  }

  /** The image that is about to be replaced in the channel, if the one that it holds now is. */
  #moverOf(base: string, held: ImageId): ImageId | undefined {
    const subject = this.#subjects.get(held);
    const channel = base.slice(base.indexOf('@') + 1);
    if (subject === undefined || this.#asked.has(held)) return undefined;
    if (!subject.channels.some((one) => one === channel)) return undefined;
    const step = this.stepOf(subject);
    switch (step.kind) {
      case 'bakes':
      case 'checks':
      case 'elsewhere':
        return held;
      case 'promotes':
        return step.channels.some((one) => one === channel) ? held : undefined;
      case 'waits':
        return step.on === undefined ? undefined : held;
      default:
        return undefined;
    }
  }
}

function failed({ message, next, made }: Extract<RebakeOutcome, { kind: 'failed' }>): RebakeStep {
  return {
    kind: 'failed',
    why: message,
    ...(next === undefined ? {} : { next }),
    ...(made === undefined ? {} : { made }),
  };
}
