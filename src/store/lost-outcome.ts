import { KilnError } from '../domain/errors.ts';

/**
 * The store was lost while it was told to commit, so nobody knows whether it did. Never tried
 * again unasked: a second try could do it twice.
 * @param repeatable doing it twice is doing it once, so that the caller may well ask again
 */
export function outcomeUnknown(cause: unknown, repeatable: boolean): KilnError {
  return new KilnError(
    'store.lost',
    'The store was lost while it committed: whether the change was made is unknown.',
    {
      cause,
      retryable: repeatable,
      next: repeatable
        ? 'Ask again: doing it twice does no harm.'
        : 'Look at what the store holds now before you ask again.',
      details: { outcome: 'unknown' },
    },
  );
}
