import type { CallAttempt } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import type { Writer } from './engine.ts';

/** In the transaction that makes it. Fails with `idempotency.in-progress` when another attempt holds the key. */
export async function noteMade(
  db: Writer,
  actor: string,
  { key, attempt }: CallAttempt,
  made: string,
): Promise<void> {
  const noted = await db
    .updateTable('idempotency')
    .set({ made })
    .where('actor', '=', actor)
    .where('key', '=', key)
    .where('attempt', '=', attempt)
    .returning('key')
    .executeTakeFirst();
  if (noted) return;
  throw new KilnError('idempotency.in-progress', 'Another server has taken this call over.', {
    next: 'Ask again with the same key in a moment.',
    retryable: true,
  });
}
