/** Rows under their heads, each column as wide as it needs to be. */
import { stripVTControlCharacters } from 'node:util';
import type { Colors } from './terminal.ts';

export function table(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  colors: Colors,
): string {
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => width(row[column] ?? ''))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - width(cell))))
      .join('  ')
      .trimEnd();
  return [colors.dim(line(heads)), ...rows.map(line)].join('\n');
}

function width(text: string): number {
  return stripVTControlCharacters(text).length;
}
