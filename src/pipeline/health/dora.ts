/**
 * The four figures of DORA (dora.dev), from the deployments of a component to its live environments. Pure.
 *
 *   change                a deployment to `live/…`, not a rollback, that ended in the window as deployed or failed;
 *                         one that was cancelled is none
 *   deployment frequency  changes that were deployed, a day
 *   lead time             from the time of the commit that the image was baked of to the end of the deployment that
 *                         brought it live first, in each environment; the median. Images of no commit are left out
 *   change failure rate   failed changes of all: the deployment failed and Kiln went back by itself, or the next
 *                         deployment of that environment that took place was a rollback from it
 *   time to restore       of failed changes, the median: from the end of the change to the end of the rollback; where
 *                         Kiln went back by itself, from the beginning of the deployment to its end
 */
import type { Deployment } from '../../domain/deployment.ts';
import { percentile } from './durations.ts';

export interface LiveDeployment
  extends Pick<Deployment, 'environment' | 'reason' | 'state' | 'from' | 'to' | 'createdAtMs' | 'endedAtMs'> {
  readonly startedAtMs?: number;
  /** Of the commit that its image was baked of. */
  readonly committedAtMs?: number;
}

export interface Dora {
  readonly days: number;
  readonly deployments: number;
  readonly deploymentsPerDay: number;
  readonly leadTimeMs?: number;
  readonly changes: number;
  readonly failedChanges: number;
  /** Absent without any change. */
  readonly changeFailureRate?: number;
  readonly restoreMs?: number;
}

const DAY_MS = 86_400_000;

/** In any order; those that ended before the window too, for what is first is seen only with all before it. */
export function dora(deployments: readonly LiveDeployment[], fromMs: number, toMs: number): Dora {
  const inWindow = ({ endedAtMs = -1 }: LiveDeployment) => endedAtMs >= fromMs && endedAtMs < toMs;
  const leadTimes: number[] = [];
  const restores: number[] = [];
  let [deployed, changes, failed] = [0, 0, 0];
  for (const ofOne of Map.groupBy(deployments, ({ environment }) => environment).values()) {
    const ended = ofOne
      .filter(({ state }) => state === 'deployed' || state === 'failed')
      .toSorted((a, b) => (a.endedAtMs ?? 0) - (b.endedAtMs ?? 0));
    const seen = new Set<number>();
    for (const [at, one] of ended.entries()) {
      if (one.reason !== 'deploy') continue;
      const isFirst = one.state === 'deployed' && !seen.has(one.to);
      if (one.state === 'deployed') seen.add(one.to);
      if (!inWindow(one)) continue;
      const { endedAtMs = 0, committedAtMs } = one;
      changes += 1;
      if (one.state === 'deployed') deployed += 1;
      if (isFirst && committedAtMs !== undefined) leadTimes.push(Math.max(0, endedAtMs - committedAtMs));
      const restoreMs = restoredAfterMs(one, ended.slice(at + 1));
      if (restoreMs === undefined) continue;
      failed += 1;
      restores.push(restoreMs);
    }
  }
  const days = (toMs - fromMs) / DAY_MS;
  return {
    days,
    deployments: deployed,
    deploymentsPerDay: deployed / days,
    ...(leadTimes.length > 0 && { leadTimeMs: percentile(leadTimes, 0.5) }),
    changes,
    failedChanges: failed,
    ...(changes > 0 && { changeFailureRate: failed / changes }),
    ...(restores.length > 0 && { restoreMs: percentile(restores, 0.5) }),
  };
}

/** Undefined: it did not fail. */
function restoredAfterMs(change: LiveDeployment, later: readonly LiveDeployment[]): number | undefined {
  const { endedAtMs = 0, startedAtMs = change.createdAtMs } = change;
  if (change.state === 'failed') return endedAtMs - startedAtMs;
  const next = later.find(({ state }) => state === 'deployed');
  if (next?.reason !== 'rollback' || next.from !== change.to) return undefined;
  return (next.endedAtMs ?? endedAtMs) - endedAtMs;
}
