/**
 * The audit log is a chain: each line's hash covers the hash before it, so a line that was
 * changed, taken out or put in shows at that place; the hash of the newest line is also kept
 * in the state row, so a cut-off end shows too.
 */
import { createHash } from 'node:crypto';
import type { AuditTable } from './tables/journal.ts';

export const CHAIN_START = '0'.repeat(64);

export type AuditLine = Omit<AuditTable, 'hash'>;

/** sha256, in hex, over the hash before and the canonical line. */
export function chainHash(previousHash: string, line: AuditLine): string {
  const canonical = JSON.stringify([
    line.revision,
    line.at_ms,
    line.actor,
    line.action,
    line.subject,
    line.detail,
  ]);
  return createHash('sha256').update(`${previousHash}\n${canonical}`).digest('hex');
}
