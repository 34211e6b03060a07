/** The plain values of a `kiln.yaml`: names, paths, times, sizes. Each message completes the sentence "expected …". */
import { z } from 'zod';
import { isTagKey, TAG_KEY_RULE } from '../domain/image-tags.ts';
import {
  DURATION_PATTERN,
  DURATION_RULE,
  parseDurationMs,
  parseSizeBytes,
  SIZE_PATTERN,
  SIZE_RULE,
} from './quantities.ts';

const NAME_RULE =
  'lower-case letters, digits and single dashes, beginning with a letter, at most 40 characters';
const PATH_RULE = "a path relative to the component's folder that stays inside it";
const KEY_RULE = 'letters, digits, "_" and "-", beginning with a letter';
const VARIABLE_RULE = "an environment variable's name: letters, digits and _, not beginning with a digit";
const COMMAND_RULE = 'a command line for the shell';

/** Neither absolute nor `~`, no `..`, no backslash, no control characters. */
const INSIDE = /^(?![/~])(?!(?:.*\/)?\.\.(?:\/|$))[^\\\p{Cc}]+$/u;

export const words = (pattern: RegExp, error: string) => z.string({ error }).regex(pattern, { error });
export const name = () => words(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/, NAME_RULE).max(40, { error: NAME_RULE });
export const inside = () => words(INSIDE, PATH_RULE).max(1024, { error: PATH_RULE });
export const configKey = () => words(/^[A-Za-z][A-Za-z0-9_-]*$/, KEY_RULE).max(128, { error: KEY_RULE });
export const variable = () => words(/^[A-Za-z_][A-Za-z0-9_]*$/, VARIABLE_RULE);
export const tagKey = () => z.string({ error: TAG_KEY_RULE }).refine(isTagKey, { error: TAG_KEY_RULE });
export const command = () =>
  words(/\S/, COMMAND_RULE)
    .max(8192, { error: COMMAND_RULE })
    .refine((text) => !text.includes('\0'), { error: COMMAND_RULE });
export const yesOrNo = () => z.boolean({ error: 'true or false' });
export const whole = (minimum: number, maximum: number) => {
  const error = `a whole number from ${minimum} to ${maximum}`;
  return z.int({ error }).min(minimum, { error }).max(maximum, { error });
};
export const duration = () =>
  words(DURATION_PATTERN, DURATION_RULE).refine((text) => parseDurationMs(text) !== undefined, {
    error: DURATION_RULE,
  });
export const size = () =>
  words(SIZE_PATTERN, SIZE_RULE).refine((text) => parseSizeBytes(text) !== undefined, { error: SIZE_RULE });
export const list = <Item extends z.ZodType>(item: Item, error: string) => z.array(item, { error });
export const paths = () => list(inside(), 'a list of paths');
export const scalar = z.union([z.string(), z.number(), z.boolean()], {
  error: 'a text, a number, or true or false',
});
export const urlPath = () => words(/^\/[^\s?#]*$/, 'a path that begins with "/"');
