/** What a release train takes along: the image of each component in a channel, as it is at one moment. */
import { KilnError } from '../domain/errors.ts';
import {
  channelName,
  componentName,
  type EnvironmentName,
  environmentName,
  type ImageId,
  serviceKey,
} from '../domain/ids.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import type { Verbs } from '../pipeline/verbs.ts';

type Catalogue = Pick<Store, 'channels' | 'images' | 'services' | 'releases'>;

export function snapshotVerb(store: Catalogue, clock: Clock): Verbs['snapshot'] {
  return async (wish) => {
    const channel = channelName(wish.channel);
    const wanted = wish.components?.map((name) => componentName(name));
    const environment = wish.environment === undefined ? undefined : environmentName(wish.environment);
    const held = (await store.channels.list()).filter((move) => move.channel === channel);
    const absent = wanted?.find((name) => !held.some(({ component }) => component === name));
    if (absent !== undefined) {
      throw new KilnError('not-found', `The channel ${channel} of ${absent} holds nothing.`, {
        next: `Run: kiln promote ${absent}@VERSION ${channel}`,
      });
    }
    const chosen = held.filter(({ component }) => wanted?.includes(component) ?? true);
    const items = [];
    for (const { component, image } of chosen) {
      const found = await store.images.get(image);
      // What is revoked goes nowhere; who asked for it by name is told.
      if (found === undefined || found.revoked !== undefined) {
        if (wanted === undefined) continue;
        throw new KilnError('image.unfit', `The image of ${component} in ${channel} is revoked.`);
      }
      if (environment !== undefined && (await serves(store, component, environment)) === image) continue;
      items.push({ component, version: found.version, image });
    }
    const order = items.toSorted((one, other) => one.component.localeCompare(other.component));
    return { channel, takenAt: new Date(clock.now()).toISOString(), items: order };
  };
}

async function serves(
  store: Catalogue,
  component: ReturnType<typeof componentName>,
  environment: EnvironmentName,
): Promise<ImageId | undefined> {
  const state = await store.services.get(serviceKey(component, environment));
  if (state?.serving === undefined || state.stopped) return undefined;
  return (await store.releases.get(component, environment, state.serving))?.image;
}
