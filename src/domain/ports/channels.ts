import type { Change } from '../change.ts';
import type { ChannelPolicy } from '../channel-demands.ts';
import type { ChannelName, ComponentName, ImageId } from '../ids.ts';
import type { ChannelMove } from '../image.ts';
import type { Approval } from '../promotion-evidence.ts';

export interface ChannelPolicyStore {
  /** Of all channels of the component that have one. */
  list(component: ComponentName): Promise<ReadonlyMap<ChannelName, ChannelPolicy>>;
  get(component: ComponentName, channel: ChannelName): Promise<ChannelPolicy | undefined>;
  set(component: ComponentName, channel: ChannelName, policy: ChannelPolicy, change: Change): Promise<void>;
  /** By whoever makes the change; a second time changes the reason. */
  approve(
    component: ComponentName,
    channel: ChannelName,
    image: ImageId,
    why: string,
    change: Change,
  ): Promise<void>;
  approvals(component: ComponentName, channel: ChannelName, image: ImageId): Promise<readonly Approval[]>;
}

export interface ChannelStore {
  /** Moves the channel when it still holds `expected` (undefined: nothing); else `input.conflict`. */
  move(move: Omit<ChannelMove, 'atMs' | 'by'>, change: Change): Promise<ChannelMove>;
  current(component: ComponentName, channel: ChannelName): Promise<ChannelMove | undefined>;
  list(component?: ComponentName): Promise<readonly ChannelMove[]>;
  /** Newest first. */
  history(component: ComponentName, channel: ChannelName): Promise<readonly ChannelMove[]>;
}
