/** What a channel demands of an image before it moves forward to it. Pure. */
import type { ChannelPolicy } from './channel-demands.ts';
import type { ImageId } from './ids.ts';
import { type ChannelMove, type CheckResult, latestChecks } from './image.ts';
import type { Approval, Evidence } from './promotion-evidence.ts';

/** From here on hours say more than minutes. */
const LONG_MS = 2 * 3_600_000;

export interface PromotionFacts {
  readonly image: ImageId;
  readonly checks: readonly CheckResult[];
  readonly approvals: readonly Approval[];
  /** Of the earlier channel, newest first. */
  readonly earlier: readonly ChannelMove[];
  readonly promoter: string;
  readonly nowMs: number;
}

export interface PolicyVerdict {
  /** One sentence for each demand that is not met. */
  readonly unmet: readonly string[];
  readonly evidence: Evidence;
}

export function judgePromotion(policy: ChannelPolicy, facts: PromotionFacts): PolicyVerdict {
  const unmet: string[] = [];
  const latest = latestChecks(facts.checks);
  for (const kind of policy.checks) {
    const ofKind = latest.filter((check) => check.kind === kind);
    if (ofKind.length === 0) unmet.push(`it has had no check of kind ${kind}`);
    else if (ofKind.some((check) => !check.passed)) unmet.push(`its last check of kind ${kind} failed`);
  }
  const approvals = approvalsBy(facts);
  if (approvals.length < policy.approvals) {
    unmet.push(
      `${approvals.length} of ${policy.approvals} approvals by others than ${facts.promoter} are there`,
    );
  }
  const heldMs = longestHeldMs(facts.earlier, facts.image, facts.nowMs);
  const { after } = policy;
  if (after !== undefined && heldMs === undefined) unmet.push(`the channel ${after.channel} never held it`);
  else if (after !== undefined && heldMs !== undefined && heldMs < after.heldMs) {
    unmet.push(`the channel ${after.channel} held it for ${shareText(heldMs, after.heldMs)}`);
  }
  const earlier =
    after === undefined || heldMs === undefined ? {} : { earlier: { channel: after.channel, heldMs } };
  return { unmet, evidence: { checks: latest.map((check) => check.id), approvals, ...earlier } };
}

/** All of them must be met: none takes back what another one demands. */
export function joinVerdicts(verdicts: readonly PolicyVerdict[]): PolicyVerdict {
  const [first, ...rest] = verdicts;
  if (first === undefined) return { unmet: [], evidence: { checks: [], approvals: [] } };
  return rest.reduce(
    (all, one) => ({
      unmet: [...new Set([...all.unmet, ...one.unmet])],
      // Results and approvals are the same facts for each; of two earlier channels the first one is named.
      evidence: { ...one.evidence, ...all.evidence },
    }),
    first,
  );
}

/** One of each person; who promotes does not count. */
function approvalsBy({ approvals, promoter }: PromotionFacts): readonly Approval[] {
  const first = new Map<string, Approval>();
  for (const one of approvals) {
    const person = personOf(one.by);
    if (person !== personOf(promoter) && !first.has(person)) first.set(person, one);
  }
  return [...first.values()];
}

/** Whoever opened the page acts there under a name of the page's own, and is the same person. */
function personOf(actor: string): string {
  return actor.replace(/^(?:page of )+/, '');
}

/** The longest time without a break; undefined: the channel never held it. */
export function longestHeldMs(
  history: readonly ChannelMove[],
  image: ImageId,
  nowMs: number,
): number | undefined {
  let longest: number | undefined;
  for (const [at, move] of history.entries()) {
    if (move.image !== image) continue;
    const endedAtMs = history[at - 1]?.atMs ?? nowMs;
    longest = Math.max(longest ?? 0, endedAtMs - move.atMs);
  }
  return longest;
}

/** `3 of 5 minutes` */
function shareText(ms: number, ofMs: number): string {
  const [unitMs, unit] = ofMs >= LONG_MS ? [3_600_000, 'hours'] : [60_000, 'minutes'];
  return `${Math.floor(ms / unitMs)} of ${Math.round((ofMs / unitMs) * 10) / 10} ${unit}`;
}
