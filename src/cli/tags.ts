/** Tags as people type them: `KEY=VALUE`; `KEY=` takes one away where that is possible. */
import { KilnError } from '../domain/errors.ts';
import type { TagChanges, Tags } from '../domain/image-tags.ts';

export function readTagChanges(texts: readonly string[]): TagChanges {
  return Object.fromEntries(
    texts.map((text) => {
      const [key, value] = split(text, 'KEY=VALUE, or KEY= to take a tag away', 'TAG');
      return [key, value === '' ? null : value];
    }),
  );
}

export function readTags(texts: readonly string[], flag: string): Tags {
  return Object.fromEntries(texts.map((text) => split(text, 'KEY=VALUE', flag)));
}

function split(text: string, expected: string, path: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new KilnError('input.invalid', `"${text}" is not a tag.`, {
    next: `Give ${expected}.`,
    faults: [{ path, message: 'is not a tag', found: text, expected }],
  });
}
