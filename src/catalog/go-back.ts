/** Back to what a channel held before: where a promotion is undone. */
import type { Change } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import type { ChannelName, ComponentName, ImageId } from '../domain/ids.ts';
import { asTested, type ChannelMove } from '../domain/image.ts';
import type { Store } from '../domain/ports/store.ts';
import { type Promotion, promote } from './promote.ts';

type Catalogue = Pick<Store, 'images' | 'channels' | 'channelPolicies'>;

/**
 * What the channel held before what it holds now, the latest first. Going back twice goes further back, not forth
 * again: what was left by going back is forgotten. Pure; `history` is newest first.
 */
export function heldBefore(history: readonly ChannelMove[]): readonly ImageId[] {
  const way: ImageId[] = [];
  for (const { image } of history.toReversed()) {
    const at = way.indexOf(image);
    if (at < 0) way.push(image);
    else way.length = at + 1;
  }
  return way.slice(0, -1).reverse();
}

export interface BackRequest {
  readonly component: ComponentName;
  readonly channel: ChannelName;
  /** Only while the channel holds this image. */
  readonly expected?: ImageId;
  readonly why: string;
}

/** To the latest of those that is fit; fails with `rollback.nothing` when there is none. */
export async function goBack(
  catalogue: Catalogue,
  { component, channel, expected, why }: BackRequest,
  change: Change,
): Promise<Promotion> {
  const history = await catalogue.channels.history(component, channel);
  for (const id of heldBefore(history)) {
    const image = await catalogue.images.get(id);
    if (image === undefined || asTested(image) === undefined) continue;
    const current = expected ?? history[0]?.image;
    const only = current === undefined ? {} : { expected: current };
    return promote(catalogue, { component, image, channel, ...only, why }, change);
  }
  throw new KilnError('rollback.nothing', `${component}:${channel} held no other image that is fit.`, {
    next: `Look at its history: kiln promote ${component} ${channel} --history`,
  });
}
