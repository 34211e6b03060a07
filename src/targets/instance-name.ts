import { randomBytes } from 'node:crypto';
import type { InstanceId, ServerGroupName } from '../domain/ids.ts';

const INSTANCE = /^([a-z0-9-]+)-(?:r|\d+)-[0-9a-f]{8}$/;

/** `storefront-web-live-uk-v012-0-5f3a9c01`: group, ordinal (`r` for a run), and what makes it unique for ever. */
export function newInstanceId(group: ServerGroupName, ordinal: number | 'r'): InstanceId {
  return `${group}-${ordinal}-${randomBytes(4).toString('hex')}` as InstanceId;
}

/** Undefined when it is not the name of an instance. */
export function groupOf(instance: string): ServerGroupName | undefined {
  const group = INSTANCE.exec(instance)?.[1];
  return group === undefined ? undefined : (group as ServerGroupName);
}
