/** The servers that work on one store, as each of them says of itself. */

export interface KnownServer {
  /** Of its state directory: the same from one start to the next. */
  readonly id: string;
  /** Where the other servers reach it. */
  readonly url: string;
  /** Name of its machine. */
  readonly host: string;
  readonly version: string;
  readonly startedAtMs: number;
  /** When it last said that it lives. */
  readonly seenAtMs: number;
  /** It was closed then, and has not been started since. */
  readonly stoppedAtMs?: number;
}

export const BEAT_EVERY_MS = 5_000;
/** Three beats missed: busy is not gone. */
const SILENT_FOR_MS = 3 * BEAT_EVERY_MS;

/** Since when it is gone; undefined: it lives. */
export function goneSinceMs(
  { seenAtMs, stoppedAtMs }: Pick<KnownServer, 'seenAtMs' | 'stoppedAtMs'>,
  nowMs: number,
): number | undefined {
  return stoppedAtMs ?? (nowMs - seenAtMs > SILENT_FOR_MS ? seenAtMs : undefined);
}
