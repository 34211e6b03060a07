import type { ChannelName } from './ids.ts';

/** What a channel demands of an image. */
export interface ChannelPolicy {
  /** Kinds of checks, `scan` among them, each of which must have been carried out and have passed last. */
  readonly checks: readonly string[];
  /** So many people, other than the one who promotes, must have approved. */
  readonly approvals: number;
  /** The channel must have held the image, without a break, for so long. */
  readonly after?: { readonly channel: ChannelName; readonly heldMs: number };
}

export const NO_DEMANDS: ChannelPolicy = { checks: [], approvals: 0 };
