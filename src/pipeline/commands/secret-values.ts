/** Values of the secrets that a command names, by their names. */
import { KilnError } from '../../domain/errors.ts';
import type { TaskCall } from '../task.ts';
import type { CommandWish } from './command-wish.ts';
import type { Secrets } from './secret-folder.ts';

/** Fails with `auth.denied` for whoever may change nothing, and `not-found` for a secret that is not there. */
export async function secretValues(
  { secrets, secretFiles }: Pick<CommandWish, 'secrets' | 'secretFiles'>,
  call: Pick<TaskCall, 'rights'>,
  source: Secrets,
): Promise<Readonly<Record<string, string>>> {
  const names = [...new Set([...Object.values(secrets), ...Object.values(secretFiles)])];
  if (names.length > 0 && !mayChange(call)) {
    throw new KilnError('auth.denied', 'Secrets are not given to an execution that may change nothing.', {
      next: 'Start it as a deployer.',
    });
  }
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await source.read(name)] as const)),
  );
}

/** Whoever started it may change something: what comes from outside, such as a fork, is begun as a viewer. */
export function mayChange({ rights }: Pick<TaskCall, 'rights'>): boolean {
  return rights?.role === 'deployer' || rights?.role === 'admin';
}
