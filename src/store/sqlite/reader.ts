/** Entry of the thread that long reads run in: one read-only connection, one read after the other, each in one snapshot. */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { Kysely } from 'kysely';
import { asKilnError, type ErrorCode } from '../../domain/errors.ts';
import { type LongRead, type LongReadResults, performRead } from '../catalogue/long-reads.ts';
import type { Schema } from '../schema.ts';
import { NodeSqliteDialect } from './dialect.ts';
import { sqliteFailure } from './failures.ts';

export interface ReaderQuestion {
  readonly id: number;
  readonly read: LongRead;
}

export type ReaderAnswer =
  | { readonly id: number; readonly result: LongReadResults[LongRead['kind']] }
  | {
      readonly id: number;
      readonly failed: {
        readonly code: ErrorCode;
        readonly message: string;
        readonly next: string | undefined;
        readonly retryable: boolean;
      };
    };

const BUSY_TIMEOUT_MS = 5_000;

const file = String(workerData);
const connection = new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
const db = new Kysely<Schema>({ dialect: new NodeSqliteDialect(connection) });

async function answerTo({ id, read }: ReaderQuestion): Promise<ReaderAnswer> {
  try {
    connection.exec('begin');
    try {
      return { id, result: await performRead(db, read) };
    } finally {
      connection.exec('commit');
    }
  } catch (thrown) {
    const { code, message, next, retryable } = asKilnError(sqliteFailure(thrown, file));
    return { id, failed: { code, message, next, retryable } };
  }
}

let last: Promise<unknown> = Promise.resolve();
parentPort?.on('message', (question: ReaderQuestion) => {
  // Each in its turn: they share the connection, and with it the snapshot.
  last = last.then(async () => parentPort?.postMessage(await answerTo(question)));
});
