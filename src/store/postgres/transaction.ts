/**
 * Reads and writes with bounded, jittered retry. Tried again is only what is known not to have
 * happened: what Postgres rolled back (serialization failure, deadlock), and what lost its
 * connection before it was told to commit. A connection lost at COMMIT is `store.lost`.
 */
import type { ControlledTransaction, Kysely } from 'kysely';
import type { Clock } from '../../domain/ports/clock.ts';
import type { Reader, Writer } from '../engine.ts';
import { outcomeUnknown } from '../lost-outcome.ts';
import type { Schema } from '../schema.ts';
import { isConnectionLoss, isGivenWay, postgresFailure } from './failures.ts';

/** Pauses of 10 ms doubling to 1 s, each between half and all of it; after this time or so many attempts no more. */
const RETRY_FOR_MS = 10_000;
const ATTEMPTS = 30;
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 1_000;

export interface Retry {
  readonly clock: Clock;
  readonly random: () => number;
  /** Host and database, for messages. */
  readonly where: string;
}

export function readWithRetry<Result>(
  db: Kysely<Schema>,
  work: (db: Reader) => Promise<Result>,
  retry: Retry,
): Promise<Result> {
  return withRetry(() => work(db), retry);
}

export function writeWithRetry<Result>(
  db: Kysely<Schema>,
  work: (tx: Writer) => Promise<Result>,
  repeatable: boolean,
  retry: Retry,
): Promise<Result> {
  return withRetry(() => transact(db, work, repeatable), retry);
}

async function withRetry<Result>(attempt: () => Promise<Result>, retry: Retry): Promise<Result> {
  const until = retry.clock.monotonic() + RETRY_FOR_MS;
  for (let made = 1; ; made += 1) {
    try {
      return await attempt();
    } catch (thrown) {
      const again = isGivenWay(thrown) || isConnectionLoss(thrown);
      if (!again || made >= ATTEMPTS || retry.clock.monotonic() > until)
        throw postgresFailure(thrown, retry.where);
      const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (made - 1));
      await retry.clock.sleep(longest * (0.5 + retry.random() / 2));
    }
  }
}

async function transact<Result>(
  db: Kysely<Schema>,
  work: (tx: Writer) => Promise<Result>,
  repeatable: boolean,
): Promise<Result> {
  const tx = await db.startTransaction().execute();
  const result = await work(tx).catch(async (thrown: unknown) => {
    await rollback(tx);
    throw thrown;
  });
  await tx
    .commit()
    .execute()
    .catch(async (thrown: unknown) => {
      await rollback(tx);
      throw isRefusal(thrown) ? thrown : outcomeUnknown(thrown, repeatable);
    });
  return result;
}

/** Postgres answered, with an error: so it did not commit. */
function isRefusal(thrown: unknown): boolean {
  return (
    thrown instanceof Error &&
    'severity' in thrown &&
    thrown.severity === 'ERROR' &&
    !isConnectionLoss(thrown)
  );
}

async function rollback(tx: ControlledTransaction<Schema>): Promise<void> {
  await tx
    .rollback()
    .execute()
    .catch(() => {
      // Fails only where the connection is gone, and the transaction with it; the caller throws why.
    });
}
