import { KilnError } from '../domain/errors.ts';

/** Nobody answers there: the router does not run, or ended in the middle. */
export function isUnreachable(thrown: unknown): boolean {
  return thrown instanceof KilnError && thrown.code === 'router.unreachable';
}
