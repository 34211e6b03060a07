/** Payloads against their shape: what is not as documented is one refusal that names every fault. */
import { z } from 'zod';
import { KilnError } from '../../domain/errors.ts';
import type { Reading, RepositoryChange } from './provider.ts';

/** Faults that are told; a payload of another kind would have one for each field. */
const MOST_FAULTS = 10;

export const text = z.string().max(1_000);
/** Git's own limit of a path is 4,096 bytes. */
const filePath = z.string().max(4_096);
/** Of any length that a provider gives; never what git could take for an option or a range. */
export const commitId = z
  .string()
  .regex(/^[0-9a-fA-F]{7,64}$/, { error: 'is not a commit' })
  .transform((id) => id.toLowerCase());
/** As git asks of a ref's name (git check-ref-format), as far as it matters to whoever fetches it. */
export const branchName = z
  .string()
  .min(1)
  .max(255)
  .refine((name) => isRefName(name), { error: 'is not a name of a branch or tag' });
export const fullRef = branchName.refine((name) => /^refs\/(?:heads|tags)\/./.test(name), {
  error: 'is not a branch or a tag',
});

function isRefName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
  const hasBad = /[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|\.lock(?:\/|$)|\.$|\/$/.test(name);
  return !hasBad && !/^[-/]|(?:^|\/)\./.test(name);
}

export function payloadAs<Shape extends z.ZodType>(
  shape: Shape,
  payload: unknown,
  event: string,
): z.output<Shape> {
  const read = shape.safeParse(payload);
  if (read.success) return read.data;
  const faults = read.error.issues.slice(0, MOST_FAULTS).map(({ path, message }) => ({
    path: path.map(String).join('.').slice(0, 200),
    message,
  }));
  const named = faults.map(({ path }) => path || 'the payload').join(', ');
  throw new KilnError('input.invalid', `This ${event} is not as its provider documents it: ${named}.`, {
    next: 'See that the webhook was added for this provider, and sends JSON.',
    faults,
  });
}

const NOTHING = /^0+$/;

interface PushedRef {
  readonly ref: string;
  readonly before: string;
  readonly commit: string;
  readonly sender: string;
  readonly paths?: readonly string[];
}

/** What came of one ref; a text: why nothing did. */
export function pushOf({ before, ...push }: PushedRef): RepositoryChange | string {
  if (NOTHING.test(push.commit)) return `${push.ref} was deleted`;
  if (before === push.commit) return `nothing was pushed to ${push.ref}`;
  return { kind: 'push', ...push, ...(!NOTHING.test(before) && { before }) };
}

/** Forks are never trusted; the types of the event forbid it. */
export function trustIn(
  isFork: boolean,
): { fromFork: true; trusted: false } | { fromFork: false; trusted: true } {
  return isFork ? { fromFork: true, trusted: false } : { fromFork: false, trusted: true };
}

export function changesOf(repository: string, found: readonly (RepositoryChange | string)[]): Reading {
  const changes = found.filter((one) => typeof one !== 'string');
  if (changes.length > 0) return { kind: 'changes', repository, changes };
  return {
    kind: 'ignored',
    why: found.filter((one) => typeof one === 'string').join(', ') || 'nothing changed',
  };
}

export const filesOfCommit = z.object({
  added: z.array(filePath).default([]),
  removed: z.array(filePath).default([]),
  modified: z.array(filePath).default([]),
});

export function pathsOf(commits: readonly z.output<typeof filesOfCommit>[]): readonly string[] {
  return [...new Set(commits.flatMap(({ added, removed, modified }) => [...added, ...removed, ...modified]))];
}
