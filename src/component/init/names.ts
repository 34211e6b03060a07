import { isName } from '../../domain/ids.ts';

const LIMIT = 40;
const FALLBACK = 'app';

/** A name that fits Kiln's rule, as near as can be to any text. */
export function tidyName(text: string): string {
  const words = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, LIMIT)
    .replace(/-+$/, '');
  return isName(words) ? words : FALLBACK;
}
