/** How two sets of named texts, or two trees of files, differ. Pure. */

export interface Difference {
  readonly key: string;
  /** Absent: only the other has it. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface FileChange {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'content' | 'mode' | 'kind';
}

/** By key; nothing of what both have alike. */
export function differences(
  from: ReadonlyMap<string, string>,
  to: ReadonlyMap<string, string>,
): readonly Difference[] {
  const keys = [...new Set([...from.keys(), ...to.keys()])].sort();
  return keys.flatMap((key) => {
    const [before, after] = [from.get(key), to.get(key)];
    if (before === after) return [];
    return [
      {
        key,
        ...(before === undefined ? {} : { from: before }),
        ...(after === undefined ? {} : { to: after }),
      },
    ];
  });
}
