import type { CheckRuns } from '../checks/check-runs.ts';
import type { ChecksPart } from './parts.ts';

/** The runs are their own part: `views.ts` says how the API shows one. */
export function checksPart(runs: CheckRuns): ChecksPart {
  return runs;
}
