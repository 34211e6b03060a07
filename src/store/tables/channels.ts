/** Which image each channel holds and held, and what it demands. */
import type { ChannelName, ComponentName, ImageId, Revision } from '../../domain/ids.ts';
import type { Json } from '../json.ts';

export interface ChannelMoveTable {
  ordinal: Revision;
  component: ComponentName;
  channel: ChannelName;
  image_id: ImageId;
  previous: ImageId | null;
  moved_by: string;
  why: string;
  at_ms: number;
  evidence: Json | null;
}

/** What each channel holds now: the newest of its moves. */
interface ChannelHeadTable {
  component: ComponentName;
  channel: ChannelName;
  image_id: ImageId;
}

interface ChannelPolicyTable {
  component: ComponentName;
  channel: ChannelName;
  body: Json;
}

interface ChannelApprovalTable {
  component: ComponentName;
  channel: ChannelName;
  image_id: ImageId;
  approved_by: string;
  why: string;
  at_ms: number;
}

export interface ChannelTables {
  channel_moves: ChannelMoveTable;
  channel_heads: ChannelHeadTable;
  channel_policies: ChannelPolicyTable;
  channel_approvals: ChannelApprovalTable;
}
