/** What every bench gives: results with their goals, printed as one table, or as JSON for the bench of all. */

export interface Goal {
  readonly bound: 'at most' | 'at least';
  readonly value: number;
  /** The goal is for the value itself, or for its ratio to the peer's. */
  readonly of: 'value' | 'ratio';
}

export interface Result {
  readonly what: string;
  readonly value: number;
  readonly unit: 'ms' | 'MB' | '%' | '/s' | '';
  readonly peer?: { readonly name: string; readonly value: number };
  readonly goal?: Goal;
}

/** A peer or a tool that this machine lacks, and what brings it. */
export interface Missing {
  readonly what: string;
  readonly missing: string;
}

export type Row = Result | Missing;

export function atMost(value: number, of: Goal['of'] = 'value'): Goal {
  return { bound: 'at most', value, of };
}

export function atLeast(value: number, of: Goal['of'] = 'value'): Goal {
  return { bound: 'at least', value, of };
}

export function ratioOf({ value, peer }: Result): number | undefined {
  return peer === undefined ? undefined : value / peer.value;
}

/** Undefined: there is no goal, or it is for a ratio and there is no peer. */
export function isReached(result: Result): boolean | undefined {
  const { goal } = result;
  const measured = goal?.of === 'ratio' ? ratioOf(result) : result.value;
  if (goal === undefined || measured === undefined) return undefined;
  return goal.bound === 'at most' ? measured <= goal.value : measured >= goal.value;
}

/** Prints what one bench found; a goal that was missed makes the exit code 1. */
export function report(rows: readonly Row[]): void {
  if (process.argv.includes('--json')) console.log(JSON.stringify(rows));
  else console.log(table(rows));
  if (rows.some((row) => !('missing' in row) && isReached(row) === false)) process.exitCode = 1;
}

export function table(rows: readonly Row[]): string {
  const head = ['', 'kiln', 'peer', 'ratio', 'goal', ''];
  const cells = [head, ...rows.map(cellsOf)];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  return cells
    .map((row) =>
      row
        .map((cell, n) => cell.padEnd(widths[n] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function cellsOf(row: Row): string[] {
  if ('missing' in row) return [row.what, '', '', '', '', `not measured: ${row.missing}`];
  const { what, value, unit, peer, goal } = row;
  const ratio = ratioOf(row);
  const reached = isReached(row);
  return [
    what,
    withUnit(value, unit),
    peer === undefined ? '' : `${withUnit(peer.value, unit)} ${peer.name}`,
    ratio === undefined || !Number.isFinite(ratio) ? '' : ratio.toFixed(3),
    goal === undefined
      ? ''
      : `${goal.bound} ${goal.of === 'ratio' ? `${goal.value.toFixed(3)} ×` : withUnit(goal.value, unit)}`,
    reached === undefined ? '' : reached ? 'ok' : 'MISS',
  ];
}

function withUnit(value: number, unit: Result['unit']): string {
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : 2;
  return `${value.toFixed(digits)}${unit === '' || unit === '%' || unit === '/s' ? unit : ` ${unit}`}`;
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Milliseconds that the work took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** Progress goes to stderr: stdout holds the results only. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
