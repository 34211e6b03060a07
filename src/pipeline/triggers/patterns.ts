/** Patterns of branches, tags and paths: see `Patterns`. */
import type { Patterns } from '../../domain/trigger.ts';

/** The last pattern that fits decides; what none fits is not let in. */
export function fits(patterns: Patterns, name: string): boolean {
  let isIn = false;
  for (const pattern of patterns) {
    const takesAway = pattern.startsWith('!');
    if (isIn === takesAway && expression(takesAway ? pattern.slice(1) : pattern).test(name))
      isIn = !takesAway;
  }
  return isIn;
}

/** A pattern has no nested repetition, and `**` at most a few: matching takes no more than polynomial time. */
export const PATTERN = /^(?!.*\*\*.*\*\*.*\*\*.*\*\*)!?[^\s\0!][^\0\n]{0,198}$/;

function expression(pattern: string): RegExp {
  const source = pattern.replaceAll(/\*\*\/|\*+|\?|[\\^$.|+()[\]{}]/g, (found) => {
    if (found === '**/') return '(?:.*/)?';
    if (found === '*') return '[^/]*';
    if (found.startsWith('*')) return '.*';
    return found === '?' ? '[^/]' : `\\${found}`;
  });
  return new RegExp(`^${source}$`, 's');
}
