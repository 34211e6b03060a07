/** What commands of pipelines leave for others: immutable files by digest, for as long as they are kept. */

export type KeptArtifact = {
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  readonly sizeBytes: number;
};

export interface ArtifactStore {
  /** Before anything else: removes the drafts of a server that has died. */
  sweep(): Promise<void>;
  /**
   * Keeps what `fill` writes to the descriptor; durable when it resolves, and nothing is there when `fill` fails.
   * Undefined: it is larger than the limit, and not kept.
   */
  write(
    fill: (descriptor: number) => Promise<void>,
    limitBytes: number,
    signal: AbortSignal,
  ): Promise<KeptArtifact | undefined>;
  /**
   * A descriptor at the beginning of the artifact, for as long as the work lasts; its bytes have been compared with the
   * digest, and others fail with `blob.damaged`. Undefined: there is none of this digest (any more).
   */
  read<Result>(
    digest: string,
    work: (descriptor: number) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result | undefined>;
  /** Lets those go that nobody has used for longest, where that is the store's own affair. */
  trim(nowMs: number): Promise<void>;
}
