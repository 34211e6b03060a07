import { KilnError } from '../domain/errors.ts';
import { secretHash } from './auth.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';

const SECRET_BYTES = 32;

/** `kiln_` lets scanners for leaked secrets know one when they see it. */
function newSecret(randomBytes: HttpParts['randomBytes']): string {
  return `kiln_${Buffer.from(randomBytes(SECRET_BYTES)).toString('base64url')}`;
}

export function serveTokens(operations: Operations, { store, clock, randomBytes }: HttpParts): void {
  operations.json('tokens.list', async () => ({ items: await store.tokens.list() }));

  operations.json(
    'tokens.create',
    async ({ body }, { actor }) => {
      const atMs = clock.now();
      const { name, role, environments, expiresAtMs } = body;
      if (expiresAtMs !== undefined && expiresAtMs <= atMs) {
        throw new KilnError('input.invalid', 'The token would have expired already.', {
          next: 'Give a time in the future.',
          faults: [{ path: 'expiresAtMs', message: 'is in the past', found: String(expiresAtMs) }],
        });
      }
      const secret = newSecret(randomBytes);
      const token = await store.tokens.create(
        { name, role, environments, ...present({ expiresAtMs }) },
        secretHash(secret),
        { actor: actor.name, atMs },
      );
      return { token, secret };
    },
    { remember: ({ token }) => ({ token }) },
  );

  operations.json('tokens.delete', async ({ params }, { actor }) => {
    await store.tokens.delete(params.id, { actor: actor.name, atMs: clock.now() });
    return { deleted: params.id };
  });
}
