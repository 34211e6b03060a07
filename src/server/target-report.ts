/** What people are told of the targets. */
import { asKilnError } from '../domain/errors.ts';
import type { Target } from '../domain/ports/target.ts';

/** For a target to answer: whoever asks for the state of things does not wait for an engine that hangs. */
const ANSWER_LIMIT_MS = 5_000;

export interface TargetReport {
  readonly name: string;
  /** `unknown`: it cannot be used now; the detail says why. */
  readonly isolation: 'sandbox' | 'none' | 'unknown';
  readonly detail: string;
}

export function targetReports(
  targets: ReadonlyMap<string, Target>,
  signal: AbortSignal,
): Promise<readonly TargetReport[]> {
  return Promise.all([...targets.values()].map((target) => report(target, signal)));
}

async function report(target: Target, signal: AbortSignal): Promise<TargetReport> {
  const { name } = target;
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_MS)]);
    const { isolation, artifacts } = await target.capabilities(limit);
    const runs = `runs ${artifacts.join(' and ')} images`;
    if (isolation === 'sandbox') return { name, isolation, detail: `${runs}; instances are kept apart` };
    const detail = `${runs}; instances can read what this user can, Kiln’s token included; install bubblewrap`;
    return { name, isolation, detail };
  } catch (thrown) {
    signal.throwIfAborted();
    const { message, next } = asKilnError(thrown);
    return { name, isolation: 'unknown', detail: `cannot be used: ${message} ${next ?? ''}`.trim() };
  }
}
