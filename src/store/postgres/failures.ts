/** Postgres' SQLSTATEs (https://www.postgresql.org/docs/current/errcodes-appendix.html) and lost connections as Kiln's. */
import { KilnError } from '../../domain/errors.ts';

const SERIALIZATION_FAILURE = '40001';
const DEADLOCK_DETECTED = '40P01';
const LOCK_NOT_AVAILABLE = '55P03';
const QUERY_CANCELED = '57014';
const DISK_FULL = '53100';
const SHUTDOWNS: readonly string[] = ['57P01', '57P02', '57P03', '25P03'];
const SOCKET_ERRORS: readonly string[] = [
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOENT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
];
/** How `pg` says, without a code, that its connection is gone or did not answer in time. */
const LOST_MESSAGES =
  /connection terminated|connection error|not queryable|query read timeout|connection timeout|timeout exceeded when trying to connect/i;

function codeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/** Postgres gave way to another transaction and rolled ours back: the same again may well pass. */
export function isGivenWay(thrown: unknown): boolean {
  const code = codeOf(thrown);
  return code === SERIALIZATION_FAILURE || code === DEADLOCK_DETECTED;
}

/** The connection is gone, or never came to be. A transaction that had not been told to commit is then rolled back. */
export function isConnectionLoss(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  const code = codeOf(thrown);
  // Several addresses of one host, all refused.
  if (thrown instanceof AggregateError && thrown.errors.length > 0)
    return thrown.errors.every(isConnectionLoss);
  if (code === undefined) return LOST_MESSAGES.test(thrown.message);
  return code.startsWith('08') || SHUTDOWNS.includes(code) || SOCKET_ERRORS.includes(code);
}

/** @param where host and database, without credentials */
export function postgresFailure(thrown: unknown, where: string): unknown {
  if (thrown instanceof KilnError || !(thrown instanceof Error)) return thrown;
  const cause = thrown;
  if (isConnectionLoss(thrown)) {
    return new KilnError('store.lost', `Postgres at ${where} cannot be reached; nothing was changed.`, {
      cause,
      retryable: true,
      next: 'Check that Postgres runs and that DATABASE_URL is right, then try again.',
    });
  }
  const code = codeOf(thrown);
  if (code === undefined) return thrown;
  const details = { sqlState: code };
  if (isGivenWay(thrown) || code === LOCK_NOT_AVAILABLE || code === QUERY_CANCELED || code === '53300') {
    return new KilnError('store.busy', `Postgres at ${where} is too busy: ${thrown.message}.`, {
      cause,
      details,
      retryable: true,
      next: 'Try again; if it stays so, look for what holds its locks in pg_stat_activity.',
    });
  }
  if (code === DISK_FULL) {
    return new KilnError('disk.full', `The disk of Postgres at ${where} is full.`, {
      cause,
      details,
      retryable: true,
      next: 'Free some space, then try again; nothing acknowledged was lost.',
    });
  }
  if (code.startsWith('XX')) {
    return new KilnError('store.damaged', `Postgres at ${where} reports damage: ${thrown.message}.`, {
      cause,
      details,
      next: 'Stop Kiln and restore the database from a backup.',
    });
  }
  if (code.startsWith('28') || code === '3D000' || code === '42501') {
    return new KilnError('input.invalid', `Postgres at ${where} refuses Kiln: ${thrown.message}.`, {
      cause,
      details,
      next: 'Correct user, password, database or rights in DATABASE_URL.',
    });
  }
  return new KilnError('internal', `Postgres refused a statement: ${thrown.message}.`, { cause, details });
}
