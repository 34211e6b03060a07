/** Whether a step ran into its limit. Pure. */
import type { PackerEvent } from './stream.ts';

/**
 * Packer says so, but not always: the end of the step that it ends races with what it says about it. So the time
 * counts, too: from when it set the limit to when the build had failed, in whole seconds.
 */
export function stepTimedOut(events: readonly PackerEvent[]): boolean {
  const limits = new Map<string, number>();
  for (const event of events) {
    if (event.kind !== 'said') continue;
    const { atS = 0, build = '', text } = event;
    if (text.startsWith('Cancelling provisioner after a timeout')) return true;
    const limit = /^Setting a (\S+) timeout for the next provisioner/.exec(text)?.[1];
    if (limit !== undefined) limits.set(build, atS + durationS(limit));
    const failed = /^Build '([^']+)' errored/.exec(text)?.[1];
    if (failed !== undefined && atS >= (limits.get(failed) ?? Number.POSITIVE_INFINITY)) return true;
  }
  return false;
}

/** As Go writes it: `1h0m5s`. */
function durationS(text: string): number {
  const seconds: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };
  return [...text.matchAll(/([\d.]+)([hms])/g)].reduce(
    (sum, [, count, unit = 's']) => sum + Number(count) * (seconds[unit] ?? 0),
    0,
  );
}
