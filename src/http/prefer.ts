import { WAIT_MAX_SECONDS } from '../api/names.ts';

/** `Prefer: wait=10` (RFC 7240), in milliseconds. What cannot be understood is ignored, as the RFC asks. */
export function preferredWaitMs(header: string | undefined): number {
  const seconds = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6}(?:\.\d{1,3})?)"?\s*(?:[,;]|$)/i.exec(header ?? '')?.[1];
  return Math.min(Number(seconds ?? 0), WAIT_MAX_SECONDS) * 1000;
}
