/** One server's attempt at a call that came with an Idempotency-Key. */
export interface CallAttempt {
  readonly key: string;
  /** Differs from one attempt to the next. */
  readonly attempt: string;
}

/** Who makes a change and when. */
export interface Change {
  readonly actor: string;
  readonly atMs: number;
  /**
   * Present: what is made is noted under the actor's key in the same transaction, which fails with
   * `idempotency.in-progress` when another attempt holds the key.
   */
  readonly attempt?: CallAttempt;
}
