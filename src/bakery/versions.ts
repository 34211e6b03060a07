/** Which version an image gets, and whether it is a new one. Pure. */
import { KilnError } from '../domain/errors.ts';
import type { Digest } from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';

/** Where the version comes from. Only a derived one may be made different by us. */
type VersionSource = 'asked' | 'file' | 'derived';

export interface WantedVersion {
  readonly text: string;
  readonly source: VersionSource;
}

const UNKNOWN_VERSION = '0.0.0';
const SHORT_KEY_LENGTH = 8;
const DISTINCTION = /\+[0-9a-f]{8}(?:\.\d+)?$/;
const VERSION = /^[0-9A-Za-z][0-9A-Za-z._+-]{0,127}$/;

export function wantedVersion(
  asked: string | undefined,
  inFile: string | undefined,
  described: string | undefined,
): WantedVersion {
  if (asked !== undefined) return { text: checked(asked), source: 'asked' };
  if (inFile !== undefined) return { text: checked(inFile), source: 'file' };
  // A tag may hold slashes, which a version does not.
  return { text: described?.replace(/[^0-9A-Za-z._+-]/g, '-') ?? UNKNOWN_VERSION, source: 'derived' };
}

/** A derived version that names other contents already gets the inputs' short key as build metadata. */
export function distinguished(version: string, inputKey: Digest): string {
  return `${version}+${inputKey.slice('sha256:'.length, 'sha256:'.length + SHORT_KEY_LENGTH)}`;
}

/**
 * Of an image that is baked again on another base: the same version, told apart by the key of its inputs, and where
 * bases of equal bytes give equal keys, by a count.
 */
export function versionAgain(version: string, inputKey: Digest, turn: number): string {
  return `${distinguished(version.replace(DISTINCTION, ''), inputKey)}${turn === 1 ? '' : `.${turn}`}`;
}

export function versionTaken(image: Image, wanted: WantedVersion): KilnError {
  const where = wanted.source === 'file' ? 'in kiln.yaml' : 'that you give';
  return new KilnError(
    'input.conflict',
    `Version ${wanted.text} of ${image.component} exists already, baked from other inputs.`,
    {
      next: `Raise the version ${where}, or give none, so that it follows git or the contents.`,
      details: { image: image.id, version: wanted.text },
    },
  );
}

function checked(version: string): string {
  if (VERSION.test(version)) return version;
  throw new KilnError('input.invalid', `"${version}" cannot be a version.`, {
    next: 'Use letters, digits, dots, dashes, underscores and plus signs, at most 128, such as 1.4.0.',
  });
}
