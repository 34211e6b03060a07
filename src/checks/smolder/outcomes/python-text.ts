import { excerpt } from '../excerpt.ts';
import type { Mask } from '../test-file.ts';

/** A JSON value as Smolder's messages show it, which is how Python writes it: `'good'`, `True`, `{'a': 1}`. */
export function pythonText(value: unknown, mask: Mask): string {
  return excerpt(mask(write(value, 0)));
}

const MAX_DEPTH = 5;

function write(value: unknown, depth: number): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string') return quote(value);
  if (typeof value !== 'object') return String(value);
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(', ')}]`;
  return `{${Object.entries(value)
    .map(([key, item]) => `${quote(key)}: ${write(item, depth + 1)}`)
    .join(', ')}}`;
}

function quote(text: string): string {
  if (text.includes("'") && !text.includes('"')) return `"${text}"`;
  return `'${text.replaceAll("'", "\\'")}'`;
}
