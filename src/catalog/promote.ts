/** Promotion: a channel moves forward to a tested image, and back only to an image that it held. */

import type { Change } from '../domain/change.ts';
import { type ChannelPolicy, NO_DEMANDS } from '../domain/channel-demands.ts';
import { joinVerdicts, judgePromotion, type PolicyVerdict } from '../domain/channel-policy.ts';
import { KilnError } from '../domain/errors.ts';
import type { ChannelName, ComponentName, ImageId } from '../domain/ids.ts';
import {
  asTested,
  type ChannelMove,
  failedInside,
  type Image,
  imageState,
  latestChecks,
  type TestedImage,
} from '../domain/image.ts';
import type { Store } from '../domain/ports/store.ts';
import type { Evidence } from '../domain/promotion-evidence.ts';

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

type Catalogue = Pick<Store, 'images' | 'channels' | 'channelPolicies'>;

type Verdict =
  | { readonly kind: 'held'; readonly move: ChannelMove }
  | {
      readonly kind: 'fit';
      readonly tested: TestedImage;
      readonly current?: ChannelMove;
      readonly evidence?: Evidence;
    };

export async function promote(
  catalogue: Catalogue,
  request: PromoteRequest,
  change: Change,
): Promise<Promotion> {
  const verdict = await judge(catalogue, request, change);
  if (verdict.kind === 'held') return { moved: false, move: verdict.move };
  return { moved: true, move: await move(catalogue, verdict, request, change) };
}

/** What the image still lacks for the channel, a sentence each; none: it can be promoted, or is held already. */
export async function missingFor(
  catalogue: Catalogue,
  request: Omit<PromoteRequest, 'why' | 'expected'>,
  change: Change,
): Promise<readonly string[]> {
  try {
    await judge(catalogue, { ...request, why: '' }, change);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof KilnError)) throw thrown;
    if (thrown.code !== 'image.unfit' && thrown.code !== 'input.conflict') throw thrown;
    return thrown.faults.length > 0 ? thrown.faults.map(({ message }) => message) : [thrown.message];
  }
}

async function judge(catalogue: Catalogue, request: PromoteRequest, change: Change): Promise<Verdict> {
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
  if (current === undefined) {
    return { kind: 'fit', tested, evidence: await demanded(catalogue, tested, request, change) };
  }
  if (current.image === tested.id) return { kind: 'held', move: current };
  // Back to what it held asks for nothing anew: it has been judged before.
  if (history.some((entry) => entry.image === tested.id)) return { kind: 'fit', tested, current };
  await refuseUnknownPast(catalogue, tested, current);
  return { kind: 'fit', tested, current, evidence: await demanded(catalogue, tested, request, change) };
}

/** The gate: nothing but a TestedImage gets here. The store moves only what `history` still showed. */
function move(
  catalogue: Catalogue,
  { tested, current, evidence }: Extract<Verdict, { kind: 'fit' }>,
  { component, channel, why }: PromoteRequest,
  change: Change,
): Promise<ChannelMove> {
  const previous = current === undefined ? {} : { previous: current.image };
  const upon = evidence === undefined ? {} : { evidence };
  return catalogue.channels.move({ component, channel, image: tested.id, ...previous, why, ...upon }, change);
}

/**
 * What the server's policy and the image's own kiln.yaml ask for, both of them; fails with `image.unfit` and every
 * demand that is not met.
 */
async function demanded(
  catalogue: Catalogue,
  image: TestedImage,
  { component, channel }: PromoteRequest,
  change: Change,
): Promise<Evidence> {
  const policies = [
    (await catalogue.channelPolicies.get(component, channel)) ?? NO_DEMANDS,
    ...ownDemands(image, channel),
  ];
  const approvals = await catalogue.channelPolicies.approvals(component, channel, image.id);
  const verdicts: PolicyVerdict[] = [];
  for (const policy of policies) {
    const { after } = policy;
    verdicts.push(
      judgePromotion(policy, {
        image: image.id,
        checks: image.checks,
        approvals,
        earlier: after === undefined ? [] : await catalogue.channels.history(component, after.channel),
        promoter: change.actor,
        nowMs: change.atMs,
      }),
    );
  }
  const { unmet, evidence } = joinVerdicts(verdicts);
  if (unmet.length === 0) return evidence;
  const name = `${image.component}@${image.version}`;
  throw new KilnError('image.unfit', `${name} does not meet what ${channel} demands: ${unmet.join('; ')}.`, {
    next: `See what it demands: kiln channels ${name}`,
    faults: unmet.map((message) => ({ path: channel, message })),
  });
}

function ownDemands({ definition }: Image, channel: ChannelName): readonly ChannelPolicy[] {
  const own = definition.channels?.[channel];
  return own === undefined ? [] : [own];
}

function refuseUntested(image: Image): never {
  const name = `${image.component}@${image.version}`;
  if (image.revoked !== undefined) {
    throw new KilnError('image.unfit', `${name} was revoked: ${image.revoked.why}.`, {
      next: 'Choose another image.',
    });
  }
  if (imageState(image) === 'untested') {
    throw new KilnError('image.unfit', `${name} cannot be promoted: it was never checked.`, {
      next: `Run: kiln check ${name}`,
    });
  }
  const failed = latestChecks(image.checks).filter(({ kind, passed }) => kind !== 'scan' && !passed);
  if (failedInside(image)) {
    throw new KilnError('image.unfit', `${name} cannot be promoted: it failed its tests inside the image.`, {
      next: `See what failed: kiln images --image ${name}; then bake it again under a new version.`,
    });
  }
  const which = failed.map(({ kind, where }) => `${kind} at ${where}`).join(', ');
  throw new KilnError('image.unfit', `${name} cannot be promoted: its last check failed: ${which}.`, {
    next: `See what failed: kiln images --image ${name}`,
  });
}

async function refuseUnknownPast(catalogue: Catalogue, image: Image, current: ChannelMove): Promise<void> {
  const held = await catalogue.images.get(current.image);
  if (held === undefined || image.createdAtMs >= held.createdAtMs) return;
  throw new KilnError(
    'input.conflict',
    `${image.component}@${image.version} is older than ${held.version}, which ${current.channel} holds, and ${current.channel} never held it: a channel goes back only to an image it held.`,
    { next: 'Promote a newer image, or bake this source again under a new version.' },
  );
}
