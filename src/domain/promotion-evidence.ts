import type { ChannelName } from './ids.ts';

export interface Approval {
  readonly by: string;
  readonly why: string;
  readonly atMs: number;
}

/** What a channel's move is recorded with. */
export interface Evidence {
  /** Ids of the results that counted. */
  readonly checks: readonly string[];
  readonly approvals: readonly Approval[];
  readonly earlier?: { readonly channel: ChannelName; readonly heldMs: number };
}
