/** `checks=smoke,scan approvals=1 after=proven:24h` as the API takes it. Pure. */
import { KilnError } from '../domain/errors.ts';
import { type ChannelName, channelName } from '../domain/ids.ts';

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

export interface PolicyText {
  readonly checks: readonly string[];
  readonly approvals: number;
  readonly after?: { readonly channel: ChannelName; readonly heldMs: number };
}

/** The same as the API answers it. */
type Demands = Pick<PolicyText, 'checks' | 'approvals'> & {
  readonly after?: PolicyText['after'] | undefined;
};

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

/** As it is written; `-` where nothing is demanded. */
export function demandsText(policy: Demands | undefined): string {
  if (policy === undefined) return '-';
  const { checks, approvals, after } = policy;
  const words = [
    ...(checks.length === 0 ? [] : [`checks=${checks.join(',')}`]),
    ...(approvals === 0 ? [] : [`approvals=${approvals}`]),
    ...(after === undefined
      ? []
      : [`after=${after.channel}${after.heldMs === 0 ? '' : `:${spanOf(after.heldMs)}`}`]),
  ];
  return words.join(' ') || '-';
}

/** In the largest unit that says it exactly. */
function spanOf(ms: number): string {
  for (const [unit, unitMs] of Object.entries(UNIT_MS).reverse())
    if (ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  return `${ms / 1000}s`;
}

/** What `before` demands and `after` does not, or less of it. */
export function loosened(before: Demands, after: Demands): readonly string[] {
  const checks = before.checks.filter((kind) => !after.checks.includes(kind)).map((kind) => `check ${kind}`);
  const approvals = after.approvals < before.approvals ? [`${before.approvals} approvals`] : [];
  const keeps =
    before.after === undefined ||
    (after.after?.channel === before.after.channel && after.after.heldMs >= before.after.heldMs);
  return [...checks, ...approvals, ...(keeps ? [] : [`time in ${before.after?.channel}`])];
}
