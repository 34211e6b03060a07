import type { Target } from './target.ts';

/**
 * What the check of an image asks of the place where it is booted: a target, or less than that, such as a machine that
 * is there for the check alone.
 */
export type CheckTarget = Pick<
  Target,
  'prepare' | 'ensure' | 'observe' | 'remove' | 'removeVolumes' | 'runOnce' | 'logs'
>;
