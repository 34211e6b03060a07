/** Who asks, and whether they may. Pure but for the look-up of a token's hash. */
import { createHash } from 'node:crypto';
import type { Actor, Role } from '../domain/audit.ts';
import { KilnError } from '../domain/errors.ts';
import type { EnvironmentName } from '../domain/ids.ts';
import type { Store } from '../domain/ports/store.ts';

/** What each role may do beside its own. */
const INCLUDES: Readonly<Record<Role, readonly Role[]>> = {
  viewer: [],
  worker: [],
  deployer: ['viewer', 'worker'],
  admin: ['viewer', 'worker', 'deployer'],
};
const BEARER = /^Bearer ([\x21-\x7e]{1,200})$/i;

/** Only this is stored and looked up, so that how long a look-up takes says nothing about a secret. */
export function secretHash(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

export function bearerSecret(header: string | undefined): string | undefined {
  return header === undefined ? undefined : BEARER.exec(header)?.[1];
}

export async function authenticate(
  tokens: Pick<Store['tokens'], 'bySecretHash'>,
  header: string | undefined,
  nowMs: number,
): Promise<Actor> {
  const secret = bearerSecret(header);
  if (secret === undefined) {
    throw new KilnError('auth.missing', 'This call needs a token.', {
      next: 'Send `Authorization: Bearer TOKEN`; on the command line set KILN_TOKEN, or KILN_STATE to the server’s state folder.',
    });
  }
  const token = await tokens.bySecretHash(secretHash(secret));
  if (token === undefined) {
    throw new KilnError(
      'auth.missing',
      'The token is not known here: it was deleted, or is of another server.',
      {
        next: 'Use a token of this server; an admin makes one with `kiln tokens create`.',
      },
    );
  }
  if (token.expiresAtMs !== undefined && token.expiresAtMs <= nowMs) {
    throw new KilnError('auth.expired', `The token "${token.name}" has expired.`, {
      next: 'Ask an admin for a new one: `kiln tokens create`.',
    });
  }
  const { name, role, environments, expiresAtMs } = token;
  return { name, role, environments, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) };
}

export function assertRole(actor: Actor, least: Role): void {
  if (actor.role === least || INCLUDES[actor.role].includes(least)) return;
  throw new KilnError('auth.denied', `${actor.name} is a ${actor.role}; this needs the role ${least}.`, {
    next: `Use a token with the role ${least}.`,
  });
}

/** A deployer may write only where one of its patterns fits; an admin everywhere. */
export function assertEnvironment(actor: Actor, environment: EnvironmentName): void {
  if (actor.role === 'admin' || actor.environments.some((pattern) => fits(pattern, environment))) return;
  throw new KilnError('auth.denied', `${actor.name} may not change ${environment}.`, {
    next: `Use a token whose environments include ${environment}.`,
  });
}

function fits(pattern: string, environment: EnvironmentName): boolean {
  const wanted = environment.split('/');
  const parts = pattern.split('/');
  return parts.length === 2 && parts.every((part, index) => part === '*' || part === wanted[index]);
}
