/** How a pipeline stands, by how its last executions ended. Pure. */
import type { ExecutionStatus } from '../../domain/ports/executions.ts';

export type Standing = 'unknown' | 'healthy' | 'failing' | 'red';

/** Failures in a row that make a pipeline red. */
const RED_AFTER = 3;

/**
 * Of its ends, newest first. What was cancelled, or superseded by a newer one, says nothing of it; one failure may be
 * bad luck, so a pipeline is red after several in a row, and healthy again with the first that succeeds.
 */
export function standingOf(
  newestFirst: readonly ExecutionStatus[],
  redAfter = RED_AFTER,
): { readonly standing: Standing; readonly failuresInRow: number } {
  const ends = newestFirst.filter((status) => isFailure(status) || status === 'SUCCEEDED');
  const success = ends.indexOf('SUCCEEDED');
  const failuresInRow = success === -1 ? ends.length : success;
  if (ends.length === 0) return { standing: 'unknown', failuresInRow };
  if (failuresInRow === 0) return { standing: 'healthy', failuresInRow };
  return { standing: failuresInRow >= redAfter ? 'red' : 'failing', failuresInRow };
}

export function isFailure(status: ExecutionStatus): boolean {
  return status === 'FAILED' || status === 'TIMED_OUT';
}
