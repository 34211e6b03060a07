/** A connection whose other side has vanished never says goodbye: nobody waits for it longer than this. */
const GOODBYE_LIMIT_MS = 2_000;

/** Resolves when `closing` has, with or without success, or when it has had its time. */
export async function closed(closing: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, GOODBYE_LIMIT_MS);
  try {
    // What cannot be closed properly is gone already, which is all that was wanted.
    await Promise.race([closing.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}
