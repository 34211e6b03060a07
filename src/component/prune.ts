import type { Path } from './yaml-source.ts';

export interface Pruned {
  readonly value: unknown;
  /** A path in the pruned value as it is in the whole one: items left out of a list shift those after them. */
  restore(path: Path): Path;
}

/** A copy of plain data without what stands at the given paths. */
export function prune(root: unknown, without: readonly Path[]): Pruned {
  const dead = new Set(without.map(keyOf));
  const kept = new Map<string, readonly number[]>();
  const copy = (value: unknown, from: Path, to: Path): unknown => {
    if (Array.isArray(value)) {
      const indexes = value.flatMap((_, index) => (dead.has(keyOf([...from, index])) ? [] : [index]));
      kept.set(keyOf(to), indexes);
      return indexes.map((index, position) => copy(value[index], [...from, index], [...to, position]));
    }
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([key]) => !dead.has(keyOf([...from, key])))
        .map(([key, item]) => [key, copy(item, [...from, key], [...to, key])]),
    );
  };
  return {
    value: copy(root, [], []),
    restore: (path) =>
      path.map((step, depth) =>
        typeof step === 'number' ? (kept.get(keyOf(path.slice(0, depth)))?.[step] ?? step) : step,
      ),
  };
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}
