/** Tags that people give to images, beside those by which Kiln says where an image comes from. Pure. */
import { type Fault, KilnError } from './errors.ts';

/** What Kiln itself notes of an image, here and at providers; nobody else can set or take away one of these. */
const OWN_KEYS: ReadonlySet<string> = new Set([
  'component',
  'version',
  'created-at',
  'built-by',
  'git.sha',
  'git.committed-at',
  'git.dirty',
  'repository',
  'parent',
  'ancestor',
  'rebake',
  'rebake-of',
  'arch',
  'Name',
]);
const KEY = /^(?!tag\.)[A-Za-z0-9][\w.:/-]{0,127}$/;
/** Longer ones could not be asked for. */
const VALUE = /^[^\p{Cc}]{1,200}$/u;

export const TAG_KEY_RULE =
  'letters, digits and "_.:/-", beginning with a letter or digit, at most 128 characters, not "tag.…"';
export const TAG_VALUE_RULE = 'one line of 1 to 200 characters';

export type Tags = Readonly<Record<string, string>>;
/** null takes the tag away. */
export type TagChanges = Readonly<Record<string, string | null>>;

export function isTagKey(text: string): boolean {
  return KEY.test(text);
}

export function isTagValue(text: string): boolean {
  return VALUE.test(text);
}

export function isOwnTag(key: string): boolean {
  return OWN_KEYS.has(key);
}

export function withTags(tags: Tags, changes: TagChanges): Tags {
  const changed = Object.entries({ ...tags, ...changes });
  return Object.fromEntries(changed.filter((pair): pair is [string, string] => pair[1] !== null));
}

/** Fails with `input.invalid`, naming every tag that Kiln sets itself or that could not be asked for. */
export function checkTags(changes: TagChanges): void {
  const faults = Object.entries(changes).flatMap(([key, value]): Fault[] => {
    const path = `tags.${key}`;
    if (!isTagKey(key))
      return [{ path, message: `"${key}" cannot be the key of a tag`, expected: TAG_KEY_RULE }];
    if (isOwnTag(key))
      return [{ path, message: `the tag "${key}" is set by Kiln itself`, expected: 'another key' }];
    if (value === null || isTagValue(value)) return [];
    return [{ path, message: `this cannot be the value of the tag "${key}"`, expected: TAG_VALUE_RULE }];
  });
  const [first] = faults;
  if (first === undefined) return;
  throw new KilnError('input.invalid', `The tags cannot be set: ${first.message}.`, {
    next: `Give ${first.expected}.`,
    faults,
  });
}
