/** `checks=smoke,scan approvals=1 after=proven:24h` as the API takes it. Pure. */
import { KilnError } from '../domain/errors.ts';
import { type ChannelName, channelName } from '../domain/ids.ts';

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

export interface PolicyText {
  readonly checks: readonly string[];
  readonly approvals: number;
  readonly after?: { readonly channel: ChannelName; readonly heldMs: number };
}

/** What is left out is not demanded. */
export function readPolicy(text: string): PolicyText {
  let policy: PolicyText = { checks: [], approvals: 0 };
  for (const word of text.split(/\s+/).filter((one) => one !== '')) {
    const [key, value = ''] = word.split('=', 2);
    if (key === 'checks' && value !== '') policy = { ...policy, checks: value.split(',') };
    else if (key === 'approvals' && /^\d{1,2}$/.test(value)) policy = { ...policy, approvals: Number(value) };
    else if (key === 'after') policy = { ...policy, after: afterOf(word, value) };
    else throw unreadable(word);
  }
  return policy;
}

function afterOf(word: string, value: string): NonNullable<PolicyText['after']> {
  const [, channel = '', count, unit = ''] = /^([a-z][a-z0-9-]*)(?::(\d{1,4})([mhd]))?$/.exec(value) ?? [];
  if (channel === '') throw unreadable(word);
  return { channel: channelName(channel), heldMs: Number(count ?? 0) * (UNIT_MS[unit] ?? 0) };
}

function unreadable(word: string): KilnError {
  return new KilnError('input.invalid', `"${word}" is no part of a policy.`, {
    next: 'Write it as "checks=smoke,scan approvals=1 after=proven:24h"; leave out what is not demanded.',
    faults: [{ path: '--policy', message: 'cannot be read', found: word }],
  });
}
