/** What AWS lets pass from state to state at once. */
import { StateFailure } from './failure.ts';
import type { Json } from './json.ts';

export const MAX_PAYLOAD_BYTES = 256 * 1_024;

export function sizeBytes(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value), 'utf8');
}

/**
 * What becomes of a state whose result, or output, is larger than that; undefined: it is not.
 * @param what the state or the resource of its task, as AWS names it in the cause
 */
export function payloadFailure(what: string, value: Json): StateFailure | undefined {
  if (sizeBytes(value) <= MAX_PAYLOAD_BYTES) return undefined;
  const cause = `The state/task '${what}' returned a result with a size exceeding the maximum number of bytes service limit.`;
  return new StateFailure({ error: 'States.DataLimitExceeded', cause }, false);
}
