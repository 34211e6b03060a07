/** Promotion: a channel moves forward to a tested image, and back only to an image that it held. */
import { KilnError } from '../domain/errors.ts';
import type { ChannelName, ComponentName, ImageId } from '../domain/ids.ts';
import { asTested, type ChannelMove, type Image, latestChecks, type TestedImage } from '../domain/image.ts';
import type { Change, Store } from '../domain/ports/store.ts';

export interface PromoteRequest {
  readonly component: ComponentName;
  readonly image: Image;
  readonly channel: ChannelName;
  /** Move only while the channel holds this image; undefined: whatever it holds when this begins. */
  readonly expected?: ImageId;
  readonly why: string;
}

export interface Promotion {
  /** False: the channel held the image already, and nothing was written. */
  readonly moved: boolean;
  readonly move: ChannelMove;
}

type Catalogue = Pick<Store, 'images' | 'channels'>;

export async function promote(
  catalogue: Catalogue,
  request: PromoteRequest,
  change: Change,
): Promise<Promotion> {
  const { component, image, channel } = request;
  if (image.component !== component) {
    throw new KilnError('input.invalid', `Image ${image.id} is of ${image.component}, not of ${component}.`, {
      next: `Choose an image of ${component}: kiln images ${component}`,
    });
  }
  const tested = asTested(image) ?? refuseUntested(image);
  const history = await catalogue.channels.history(component, channel);
  const current = history[0];
  if (request.expected !== undefined && current?.image !== request.expected) {
    throw new KilnError(
      'input.conflict',
      `The channel ${channel} of ${component} holds ${current?.image ?? 'nothing'}, not ${request.expected} as expected.`,
      {
        next: 'Look at what the channel holds now, then decide again.',
        details: { holds: current?.image ?? null },
      },
    );
  }
  if (current?.image === tested.id) return { moved: false, move: current };
  if (current !== undefined) await refuseUnknownPast(catalogue, tested, current, history);
  return { moved: true, move: await move(catalogue, tested, request, current, change) };
}

/** The gate: nothing but a TestedImage gets here. The store moves only what `history` still showed. */
function move(
  catalogue: Catalogue,
  image: TestedImage,
  { component, channel, why }: PromoteRequest,
  current: ChannelMove | undefined,
  change: Change,
): Promise<ChannelMove> {
  const previous = current === undefined ? {} : { previous: current.image };
  return catalogue.channels.move({ component, channel, image: image.id, ...previous, why }, change);
}

function refuseUntested(image: Image): never {
  const name = `${image.component}@${image.version}`;
  if (image.revoked !== undefined) {
    throw new KilnError('image.unfit', `${name} was revoked: ${image.revoked.why}.`, {
      next: 'Choose another image.',
    });
  }
  const failed = latestChecks(image.checks).filter((check) => !check.passed);
  const what =
    failed.length === 0
      ? 'it was never checked'
      : `its last check failed: ${failed.map((check) => `${check.kind} at ${check.where}`).join(', ')}`;
  throw new KilnError('image.unfit', `${name} cannot be promoted: ${what}.`, {
    next: `Run: kiln check ${name}`,
  });
}

async function refuseUnknownPast(
  catalogue: Catalogue,
  image: Image,
  current: ChannelMove,
  history: readonly ChannelMove[],
): Promise<void> {
  if (history.some((entry) => entry.image === image.id)) return;
  const held = await catalogue.images.get(current.image);
  if (held === undefined || image.createdAtMs >= held.createdAtMs) return;
  throw new KilnError(
    'input.conflict',
    `${image.component}@${image.version} is older than ${held.version}, which ${current.channel} holds, and ${current.channel} never held it: a channel goes back only to an image it held.`,
    { next: 'Promote a newer image, or bake this source again under a new version.' },
  );
}
