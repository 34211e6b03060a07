/** From what people write to an image: `storefront@1.2.0`, `storefront:proven`, an id, or the beginning of one. */
import { KilnError } from '../domain/errors.ts';
import {
  type ChannelName,
  type ComponentName,
  channelName,
  componentName,
  type EnvironmentName,
  type ImageId,
  isComponentName,
} from '../domain/ids.ts';
import { asTested, type Image } from '../domain/image.ts';
import type { Store } from '../domain/ports/store.ts';

type ImageReference =
  | { readonly kind: 'version'; readonly component: ComponentName; readonly version: string }
  | { readonly kind: 'channel'; readonly component: ComponentName; readonly channel: ChannelName }
  | { readonly kind: 'id'; readonly prefix: string };

type Catalogue = Pick<Store, 'images' | 'channels'>;

const PAGE = 200;
/** Shorter beginnings say too little to be meant. */
const SHORTEST_PREFIX = 4;

function parseImageReference(text: string): ImageReference {
  const at = text.indexOf('@');
  if (at > 0)
    return { kind: 'version', component: componentName(text.slice(0, at)), version: text.slice(at + 1) };
  const colon = text.indexOf(':');
  if (colon > 0) {
    const [component, channel] = [text.slice(0, colon), text.slice(colon + 1)];
    return { kind: 'channel', component: componentName(component), channel: channelName(channel) };
  }
  return { kind: 'id', prefix: text };
}

export async function resolveImage(catalogue: Catalogue, text: string): Promise<Image> {
  const reference = parseImageReference(text);
  if (reference.kind === 'version') {
    const { component, version } = reference;
    const found = await catalogue.images.byVersion(component, version);
    return found ?? missing(`There is no image ${component}@${version}.`, `Run: kiln images ${component}`);
  }
  if (reference.kind === 'channel') {
    const { component, channel } = reference;
    const move = await catalogue.channels.current(component, channel);
    const found = move && (await catalogue.images.get(move.image));
    return (
      found ??
      missing(
        `The channel ${channel} of ${component} holds nothing.`,
        `Run: kiln promote ${component}@VERSION ${channel}`,
      )
    );
  }
  return byIdOrPrefix(catalogue, reference.prefix);
}

async function byIdOrPrefix(catalogue: Catalogue, prefix: string): Promise<Image> {
  const exact = await catalogue.images.get(prefix as ImageId);
  if (exact !== undefined) return exact;
  const found: Image[] = [];
  if (prefix.length >= SHORTEST_PREFIX) {
    for await (const image of allImages(catalogue)) if (image.id.startsWith(prefix)) found.push(image);
  }
  const [only, another] = found;
  if (only === undefined) return missingOrComponent(catalogue, prefix);
  if (another === undefined) return only;
  throw new KilnError('input.invalid', `"${prefix}" begins the ids of ${found.length} images.`, {
    next: `Give more of the id, such as ${only.id}, or component@version.`,
  });
}

/** Newest first. */
async function* allImages(
  catalogue: Pick<Catalogue, 'images'>,
  component?: ComponentName,
): AsyncIterable<Image> {
  let cursor: string | undefined;
  do {
    const page = await catalogue.images.list(component === undefined ? {} : { component }, {
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    yield* page.items;
    cursor = page.cursor;
  } while (cursor !== undefined);
}

async function missingOrComponent(catalogue: Catalogue, text: string): Promise<never> {
  if (isComponentName(text)) {
    const [newest] = (await catalogue.images.list({ component: text }, { limit: 1 })).items;
    if (newest !== undefined) {
      return missing(
        `"${text}" is a component, and no image of it is named.`,
        `Name one, such as ${text}@${newest.version}: kiln images ${text}`,
      );
    }
  }
  return missing(`There is no image "${text}".`, 'Run: kiln images');
}

/**
 * What is meant when nobody names an image: what the environment's channel holds, or the newest tested image.
 * `channelFor` says which channel the environment asks for, by the definition of the newest image.
 */
export async function defaultImage(
  catalogue: Catalogue,
  component: ComponentName,
  channelFor: (newest: Image) => ChannelName | undefined,
): Promise<Image> {
  let channel: ChannelName | undefined;
  let seen = false;
  for await (const image of allImages(catalogue, component)) {
    if (!seen) {
      seen = true;
      channel = channelFor(image);
      if (channel !== undefined) return resolveImage(catalogue, `${component}:${channel}`);
    }
    if (asTested(image) !== undefined) return image;
  }
  return seen
    ? missing(
        `No image of ${component} has passed its checks.`,
        `Run: kiln check ${component}@VERSION, or name an image.`,
      )
    : missing(`There is no image of ${component}.`, 'Run: kiln bake DIR');
}

/** The image that is named, or the one that the environment takes when none is. */
export function imageFor(
  catalogue: Catalogue,
  component: ComponentName,
  environment: EnvironmentName,
  reference: string | undefined,
): Promise<Image> {
  if (reference !== undefined) return resolveImage(catalogue, reference);
  const channelFor = ({ definition }: Image): ChannelName | undefined =>
    (definition.environments[environment] ?? definition.defaults).channel;
  return defaultImage(catalogue, component, channelFor);
}

function missing(what: string, next: string): never {
  throw new KilnError('not-found', what, { next });
}
