/** The token of whoever owns the machine: in a file that only its user can read, hashed in the store. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import { readIfThereSync } from '../files/durable-file.ts';
import { secretHash } from '../http/auth.ts';

const SECRET_BYTES = 32;

export async function ensureAdminToken(
  store: Pick<Store, 'tokens'>,
  file: string,
  clock: Clock,
): Promise<void> {
  const secret = readSecret(file) ?? makeSecret(file);
  if ((await store.tokens.bySecretHash(secretHash(secret))) !== undefined) return;
  const token = { name: 'local', role: 'admin', environments: [] } as const;
  await store.tokens.create(token, secretHash(secret), { actor: 'kiln', atMs: clock.now() });
}

function readSecret(file: string): string | undefined {
  return readIfThereSync(file)?.trim() || undefined;
}

function makeSecret(file: string): string {
  const secret = `kiln_${randomBytes(SECRET_BYTES).toString('base64url')}`;
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  return secret;
}
