/** The engine with revisions: what the sub-stores are written on. */

import type { Change } from '../domain/change.ts';
import type { Revision } from '../domain/ids.ts';
import { ChangeTransaction } from './change.ts';
import type { Engine, Reader, WriteOptions, Writer } from './engine.ts';
import { RevisionWatch } from './revision-watch.ts';

export class Database {
  readonly engine: Engine;
  readonly revisions: RevisionWatch;

  constructor(engine: Engine) {
    this.engine = engine;
    this.revisions = new RevisionWatch(() => this.revision());
  }

  read<Result>(work: (db: Reader) => Promise<Result>): Promise<Result> {
    return this.engine.read(work);
  }

  /** One transaction with its events and audit line, durable when it resolves. */
  async change<Result>(
    change: Change,
    work: (tx: ChangeTransaction) => Promise<Result>,
    options?: WriteOptions,
  ): Promise<Result> {
    const { result, revision } = await this.engine.write(async (db) => {
      const tx = await ChangeTransaction.begin(db, change);
      const result = await work(tx);
      return { result, revision: await tx.record() };
    }, options);
    this.revisions.advance(revision);
    return result;
  }

  /** A write that nobody follows, such as a lease's renewal: it takes no revision. Repeatable by nature. */
  coordinate<Result>(work: (db: Writer) => Promise<Result>): Promise<Result> {
    return this.engine.write(work, { repeatable: true });
  }

  async revision(): Promise<Revision> {
    const state = await this.read((db) =>
      db.selectFrom('state').select('revision').executeTakeFirstOrThrow(),
    );
    return state.revision;
  }
}
