import { KilnError } from '../domain/errors.ts';
import { secretHash } from './auth.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';

const SECRET_BYTES = 32;

/** `kiln_` lets scanners for leaked secrets know one when they see it. */
export function newSecret(randomBytes: HttpParts['randomBytes']): string {
  return `kiln_${Buffer.from(randomBytes(SECRET_BYTES)).toString('base64url')}`;
}

export function serveTokens(operations: Operations, { store, clock, randomBytes }: HttpParts): void {
  operations.json('tokens.list', async () => ({ items: await store.tokens.list() }));

  operations.json(
    'tokens.create',
    async ({ body }, { actor, attempt }) => {
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
        { actor: actor.name, atMs, ...present({ attempt }) },
      );
      return { token, secret };
    },
    {
      remember: ({ token }) => ({ token }),
      // Its secret is lost with the answer: whoever asks again sees which token to delete.
      async recover(made) {
        const token = (await store.tokens.list()).find((one) => one.id === made);
        return token && { token };
      },
    },
  );

  operations.json(
    'tokens.delete',
    async ({ params }, { actor, attempt }) => {
      await store.tokens.delete(params.id, {
        actor: actor.name,
        atMs: clock.now(),
        ...present({ attempt }),
      });
      return { deleted: params.id };
    },
    { recover: async (made) => ({ deleted: made }) },
  );
}
