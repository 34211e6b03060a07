import type { Actor } from '../domain/audit.ts';
import { environmentName } from '../domain/ids.ts';
import type { Waits } from '../pipeline/why.ts';
import { assertEnvironment, assertRole } from './auth.ts';

/** Who answers an approval needs the role that it asks for, and must be allowed to change each of its environments. */
export function assertMayDecide(actor: Actor, { role = 'deployer', environments = [] }: Waits): void {
  assertRole(actor, role);
  for (const environment of environments) assertEnvironment(actor, environmentName(environment));
}
