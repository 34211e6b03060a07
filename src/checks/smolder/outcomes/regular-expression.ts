import type { Field } from '../source.ts';

/**
 * A regular expression as Python writes it: `(?P<name>…)`, `\A`, `\Z` and leading flags such as `(?i)` are turned
 * into their JavaScript forms. What JavaScript cannot compile is a fault of the file.
 */
export function readRegularExpression(field: Field): RegExp | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const flags = /^\(\?([ims]+)\)/.exec(text)?.[1] ?? '';
  const pattern = text
    .slice(flags === '' ? 0 : flags.length + 3)
    .replaceAll('(?P<', '(?<')
    .replace(/\(\?P=(\w+)\)/g, '\\k<$1>')
    .replace(/\\A/g, '^')
    .replace(/\\Z/g, '$');
  try {
    return new RegExp(pattern, [...new Set(flags)].join(''));
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return field.fault(`"${field.key}" is not a regular expression: ${why}.`);
  }
}
