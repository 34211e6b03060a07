/** What a YAML text may hold that is none of anybody's data: loops, depths that no reader survives, names of prototypes. */
export interface Hazard {
  readonly path: readonly (string | number)[];
  readonly at: 'key' | 'value';
  readonly message: string;
  readonly expected: string;
}

/** Deeper than anything that people write; what walks over the data is recursive. */
const DEEPEST = 200;

/** The first that there is; none in what is no map and no list. */
export function hazardIn(value: unknown): Hazard | undefined {
  return hazardAt(value, { path: [], around: new Set(), seen: new Set() });
}

interface Walk {
  readonly path: Hazard['path'];
  /** Those that the value lies in. */
  readonly around: Set<object>;
  /** Those that were looked at before, by way of another alias. */
  readonly seen: Set<object>;
}

function hazardAt(value: unknown, { path, around, seen }: Walk): Hazard | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (around.has(value)) {
    return {
      path,
      at: 'value',
      message: 'an alias inside of what it stands for',
      expected: 'what has an end',
    };
  }
  if (path.length > DEEPEST)
    return { path, at: 'value', message: 'nested too deeply', expected: `at most ${DEEPEST} levels` };
  if (seen.has(value)) return undefined;
  seen.add(value);
  around.add(value);
  const keys = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  for (const key of keys) {
    const inner = [...path, key];
    if (key === '__proto__')
      return { path: inner, at: 'key', message: '"__proto__" cannot be a name', expected: 'another name' };
    const found = hazardAt(Reflect.get(value, key), { path: inner, around, seen });
    if (found !== undefined) return found;
  }
  around.delete(value);
  return undefined;
}
