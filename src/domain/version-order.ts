/**
 * Versions as texts that compare, by code units, as the versions themselves do: what is stored and indexed.
 *
 * The rules are Semantic Versioning 2.0.0 (item 11) where a version is one, and looser where it is not:
 * - any count of numbers, with or without a leading `v`; trailing zeros say nothing, so `1.4` is `1.4.0`;
 * - what `git describe` gives after a tag, `1.4.0-3-gab12cd3`, comes after `1.4.0`, and not before it;
 * - letters straight after the numbers (`1.4rc1`) begin a pre-release;
 * - build metadata (`+…`) does not count; a version without any number comes before all that have one.
 */

/** Below `FINAL`, which is below `POST`, which is below every number's prefix. */
const PRE = '!';
const FINAL = '$';
const POST = '%';
const END = ' ';
const TEXT = 'a';
const LONGEST_NUMBER = 26;

const NUMBERS = /^v?(\d+(?:\.\d+)*)(.*)$/s;
const DESCRIBED = /^-(\d+)-g[0-9a-f]{4,40}(?:-.*)?$/;

export function versionKey(version: string): string {
  const plain = version.split('+', 1)[0] ?? '';
  const [, numbers, rest = ''] = NUMBERS.exec(plain) ?? [];
  if (numbers === undefined) return `${PRE}${identifiers(plain)}`;
  const fields = numbers.split('.').map((text) => text.replace(/^0+(?=\d)/, ''));
  while (fields.length > 1 && fields.at(-1) === '0') fields.pop();
  const release = fields.map(numberKey).join('');
  if (rest === '') return release + FINAL;
  const [, commits] = DESCRIBED.exec(rest) ?? [];
  if (commits !== undefined) return release + POST + numberKey(commits.replace(/^0+(?=\d)/, ''));
  return release + PRE + identifiers(rest.replace(/^[-._~]/, ''));
}

/** Negative: `a` comes first; zero: equal as versions. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [versionKey(a), versionKey(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function identifiers(text: string): string {
  const keys = text.split('.').map((one) => {
    const digits = one.replace(/^0+(?=\d)/, '');
    return /^\d+$/.test(one) && digits.length <= LONGEST_NUMBER ? numberKey(digits) : `${TEXT}${one}${END}`;
  });
  return keys.join('') + END;
}

/** A longer number is a larger one, so its length comes first, as a letter. */
function numberKey(digits: string): string {
  const length = Math.min(digits.length, LONGEST_NUMBER);
  return String.fromCharCode('A'.charCodeAt(0) + length - 1) + digits;
}
