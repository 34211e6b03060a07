/** What the store knows of images that follow their base: the view that `rebake-plan.ts` decides by. */
import { baseReference } from '../domain/component.ts';
import { type ChannelName, type ComponentName, channelName, type ImageId } from '../domain/ids.ts';
import { asTested, type ChannelMove, type Image, latestChecks } from '../domain/image.ts';
import type { Condition, ImageQuery } from '../domain/image-query.ts';
import type { Store } from '../domain/ports/store.ts';
import type { RebakeRecord } from '../domain/rebake.ts';
import { ancestorsOf } from './lineage.ts';
import { missingFor } from './promote.ts';
import { type MadeImage, type RebakeSubject, type RebakeView, rebakeKey } from './rebake-plan.ts';

export type RebakeCatalogue = Pick<
  Store,
  'images' | 'catalogue' | 'channels' | 'channelPolicies' | 'rebakes' | 'events'
>;

export const REBAKER = 'rebake';

const PAGE = 200;
/** An engine that was down, a full disk. */
const RETRY_AFTER_MS = 10 * 60_000;

export interface Observed {
  readonly view: RebakeView;
  /** Every image that the view speaks of. */
  readonly images: ReadonlyMap<ImageId, Image>;
}

const NOTHING: Observed = {
  view: { subjects: [], heads: new Map(), outcomes: new Map(), made: new Map(), ancestry: new Map() },
  images: new Map(),
};

export async function observeRebakes(
  store: RebakeCatalogue,
  server: string,
  nowMs: number,
): Promise<Observed> {
  if ((await following(store, [], 1)).length === 0) return NOTHING;
  const moves = await store.channels.list();
  const outdated = new Map(
    [...(await heldImages(store, moves)), ...(await newestImages(store))].map((image) => [image.id, image]),
  );
  const found = [...outdated.values()].flatMap((image) => subjectOf(image, moves, server));
  const images = new ImageReader(store, outdated);
  const heads = await headsOf(images, found, moves);
  const records = (await store.rebakes.of(found.map(({ image }) => image))).filter(
    ({ outcome, atMs }) => outcome.kind === 'made' || !outcome.retryable || nowMs - atMs < RETRY_AFTER_MS,
  );
  const ancestry = new Map<ImageId, ReadonlySet<ComponentName>>();
  for (const head of heads.values()) ancestry.set(head, await componentsAbove(store, await images.get(head)));
  const made = new Map<ImageId, MadeImage>();
  for (const record of records) {
    const subject = found.find(({ image }) => image === record.image);
    if (subject === undefined || record.onto !== heads.get(subject.base)) continue;
    const image = record.outcome.made === undefined ? undefined : await images.get(record.outcome.made);
    if (image !== undefined) made.set(image.id, await stateOf(store, subject, image, record, nowMs));
  }
  const outcomes = new Map(records.map((one) => [rebakeKey(one.image, one.onto), one.outcome]));
  return { view: { subjects: found, heads, outcomes, made, ancestry }, images: images.seen };
}

class ImageReader {
  readonly #store: RebakeCatalogue;
  readonly seen: Map<ImageId, Image>;

  constructor(store: RebakeCatalogue, seen: ReadonlyMap<ImageId, Image>) {
    this.#store = store;
    this.seen = new Map(seen);
  }

  async get(id: ImageId): Promise<Image | undefined> {
    const image = this.seen.get(id) ?? (await this.#store.images.get(id));
    if (image !== undefined) this.seen.set(id, image);
    return image;
  }
}

/** Outdated, fit, and asking to be baked again; newest first. */
async function following(
  store: RebakeCatalogue,
  conditions: readonly Condition[],
  limit: number,
): Promise<readonly Image[]> {
  const query: ImageQuery = {
    conditions: [
      { on: 'tag', key: 'rebake', values: ['on-base-change'], negated: false },
      { on: 'field', field: 'outdated', values: ['true'], negated: false },
      { on: 'field', field: 'revoked', values: ['false'], negated: false },
      ...conditions,
    ],
    versions: [],
    order: 'newest',
  };
  return (await store.catalogue.search(query, { limit })).items;
}

async function heldImages(store: RebakeCatalogue, moves: readonly ChannelMove[]): Promise<readonly Image[]> {
  const ids = [...new Set(moves.map((move) => move.image))];
  const found: Image[] = [];
  for (let from = 0; from < ids.length; from += PAGE) {
    const values = ids.slice(from, from + PAGE);
    found.push(...(await following(store, [{ on: 'field', field: 'id', values, negated: false }], PAGE)));
  }
  return found;
}

/** Of each component, its newest image, where that follows its base and no check of it failed. */
async function newestImages(store: RebakeCatalogue): Promise<readonly Image[]> {
  const found: Image[] = [];
  const seen: ComponentName[] = [];
  for (;;) {
    const others: Condition = { on: 'field', field: 'component', values: seen, negated: true };
    const some = await following(store, seen.length === 0 ? [] : [others], PAGE);
    if (some.length === 0) return found;
    for (const image of some) {
      if (seen.includes(image.component)) continue;
      seen.push(image.component);
      const [newest] = (await store.images.list({ component: image.component }, { limit: 1 })).items;
      if (newest?.id === image.id && failedChecks(image).length === 0) found.push(image);
    }
  }
}

function subjectOf(image: Image, moves: readonly ChannelMove[], server: string): readonly RebakeSubject[] {
  const { rebake } = image.definition.image;
  const base = baseReference(image.definition.image);
  if (rebake === undefined || base === undefined || image.parent === undefined) return [];
  const held = moves.filter((move) => move.image === image.id).map((move) => move.channel);
  const { promote } = rebake;
  return [
    {
      image: image.id,
      component: image.component,
      base,
      parent: image.parent,
      channels: promote === 'held' ? held : held.filter((channel) => promote.includes(channel)),
      // Where nobody noted the source, this server says so.
      here: image.source === undefined || image.source.server === server,
    },
  ];
}

async function headsOf(
  images: ImageReader,
  subjects: readonly RebakeSubject[],
  moves: readonly ChannelMove[],
): Promise<ReadonlyMap<string, ImageId>> {
  const heads = new Map<string, ImageId>();
  for (const base of new Set(subjects.map((subject) => subject.base))) {
    const [component = '', channel = ''] = base.split('@');
    const move = moves.find((one) => one.component === component && one.channel === channelName(channel));
    const head = move && (await images.get(move.image));
    if (head !== undefined && head.revoked === undefined) heads.set(base, head.id);
  }
  return heads;
}

async function componentsAbove(
  store: RebakeCatalogue,
  head: Image | undefined,
): Promise<ReadonlySet<ComponentName>> {
  if (head === undefined) return new Set();
  return new Set([head, ...(await ancestorsOf(store, head))].map(({ component }) => component));
}

async function stateOf(
  store: RebakeCatalogue,
  { channels }: RebakeSubject,
  made: Image,
  record: RebakeRecord,
  nowMs: number,
): Promise<MadeImage> {
  const unmet = new Map<ChannelName, readonly string[]>();
  const unfit = whyUnfit(made);
  if (unfit !== undefined) return { unfit, unmet };
  const { component } = made;
  for (const channel of channels) {
    const taken = await takenBack(store, { component, channel }, record, made.id);
    const change = { actor: REBAKER, atMs: nowMs };
    unmet.set(
      channel,
      taken === undefined ? await missingFor(store, { component, image: made, channel }, change) : [taken],
    );
  }
  return { unmet };
}

function whyUnfit(made: Image): string | undefined {
  if (made.revoked !== undefined) return `what was baked was revoked: ${made.revoked.why}`;
  if (asTested(made) !== undefined) return undefined;
  const failed = failedChecks(made);
  return failed.length === 0 ? 'what was baked was never checked' : `its checks failed: ${failed.join(', ')}`;
}

function failedChecks(image: Image): readonly string[] {
  return latestChecks(image.checks)
    .filter(({ passed, kind }) => !passed && kind !== 'scan')
    .map(({ kind, where, failures: [first] }) =>
      first === undefined ? `${kind} at ${where}` : `${kind} at ${where} (${first})`,
    );
}

/** A person's word stands: what somebody took out of the channel again does not come back by itself. */
async function takenBack(
  store: RebakeCatalogue,
  { component, channel }: { readonly component: ComponentName; readonly channel: ChannelName },
  record: RebakeRecord,
  made: ImageId,
): Promise<string | undefined> {
  const history = await store.channels.history(component, channel);
  const at = history.findIndex((move) => move.image === made && move.atMs >= record.atMs);
  const back = at > 0 ? history[at - 1] : undefined;
  return back && `${back.by} took it back: ${back.why}`;
}
