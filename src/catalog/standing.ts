/** Where an image stands: what each channel of its component demands, and what it still lacks. */

import type { Change } from '../domain/change.ts';
import type { ChannelPolicy } from '../domain/channel-demands.ts';
import type { ChannelName, ImageId } from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';
import type { Store } from '../domain/ports/store.ts';
import { missingFor } from './promote.ts';

type Catalogue = Pick<Store, 'images' | 'channels' | 'channelPolicies'>;

export interface Standing {
  readonly channel: ChannelName;
  readonly holds?: ImageId;
  /** What the server demands, set by an admin. */
  readonly policy?: ChannelPolicy;
  /** What the image's own kiln.yaml demands beside it. */
  readonly own?: ChannelPolicy;
  /** What it lacks, were it promoted now by whoever asks; none: it can be, or is held already. */
  readonly missing: readonly string[];
}

/** Channels that somebody has moved, has set demands for, or that the file names. */
export async function standingOf(
  catalogue: Catalogue,
  image: Image,
  change: Change,
): Promise<readonly Standing[]> {
  const { component, definition } = image;
  const own = new Map(Object.entries(definition.channels ?? {}) as [ChannelName, ChannelPolicy][]);
  const [moves, policies] = await Promise.all([
    catalogue.channels.list(component),
    catalogue.channelPolicies.list(component),
  ]);
  const asked = [definition.defaults, ...Object.values(definition.environments)].flatMap(
    ({ channel }) => channel ?? [],
  );
  const names = new Set([...moves.map((move) => move.channel), ...policies.keys(), ...own.keys(), ...asked]);
  const found: Standing[] = [];
  for (const channel of [...names].sort()) {
    const holds = moves.find((move) => move.channel === channel)?.image;
    const [policy, demands] = [policies.get(channel), own.get(channel)];
    found.push({
      channel,
      ...(holds === undefined ? {} : { holds }),
      ...(policy === undefined ? {} : { policy }),
      ...(demands === undefined ? {} : { own: demands }),
      missing: await missingFor(catalogue, { component, image, channel }, change),
    });
  }
  return found;
}
