/** What a bake stands on. */
import { baseReference, type ComponentDefinition } from '../domain/component.ts';
import { KilnError } from '../domain/errors.ts';
import { channelName, componentName } from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';
import type { BuildRequest } from '../domain/ports/builder.ts';
import type { Store } from '../domain/ports/store.ts';

/** `component@channel` → the image that the channel holds now. */
export async function resolveBase(
  { channels, images }: Pick<Store, 'channels' | 'images'>,
  definition: ComponentDefinition,
): Promise<Image | undefined> {
  const base = baseReference(definition.image);
  if (base === undefined) return undefined;
  const [name = '', channel = ''] = base.split('@');
  const move = await channels.current(componentName(name), channelName(channel));
  const image = move === undefined ? undefined : await images.get(move.image);
  if (image === undefined) {
    throw new KilnError('not-found', `The base ${base} is not there: the channel holds no image.`, {
      next: `Bake ${name} and promote it to ${channel} first.`,
    });
  }
  if (image.revoked !== undefined) {
    throw new KilnError('image.unfit', `The base ${base} is revoked: ${image.revoked.why}`, {
      next: `Promote another image of ${name} to ${channel}.`,
    });
  }
  return image;
}

export function asBase(parent: Image | undefined): Pick<BuildRequest, 'base'> {
  return parent === undefined ? {} : { base: { image: parent.id, artifacts: parent.artifacts } };
}
