/**
 * The source that an image was baked from, found again: its folder as it stands, and where that holds something else
 * by now, its folder as the commit has it.
 */
import { randomUUID } from 'node:crypto';
import { access, rm } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../domain/errors.ts';
import type { Image, ImageSource } from '../domain/image.ts';
import { exportCommit } from './git-tree.ts';

/** Fails with `not-found`: it was pulled, or baked by a Kiln that did not note from where. */
export function sourceOf(image: Image): ImageSource {
  if (image.source !== undefined) return image.source;
  throw new KilnError('not-found', `Nobody has noted what ${nameOf(image)} was baked from.`, {
    next: `Bake ${image.component} once more from its folder.`,
  });
}

/**
 * Calls `work` with each place where the source may be until it answers something else than undefined, which means
 * that this is not the source. Fails with `not-found` where there is no such place, `source.changed` where none fits.
 */
export async function withRecordedSource<Result>(
  image: Image,
  stateDirectory: string,
  signal: AbortSignal,
  work: (directory: string) => Promise<Result | undefined>,
): Promise<Result> {
  const { directory, commit, repository } = sourceOf(image);
  const stands = await isThere(directory);
  const found = stands ? await work(directory) : undefined;
  if (found !== undefined) return found;
  const exported =
    commit === undefined ? undefined : path.join(stateDirectory, 'tmp', `bake-${randomUUID()}`);
  try {
    if (exported !== undefined && commit !== undefined) {
      const isExported = await exportCommit(directory, commit, exported, signal);
      const again = isExported ? await work(exported) : undefined;
      if (again !== undefined) return again;
    }
  } finally {
    if (exported !== undefined) await rm(exported, { recursive: true, force: true });
  }
  const next = `Bake ${image.component} from where its source is now.`;
  const of = repository === undefined ? '' : ` of ${repository}`;
  const from = commit === undefined ? '' : ` (it held commit ${commit}${of})`;
  if (!stands) {
    throw new KilnError(
      'not-found',
      `The folder ${directory} that ${nameOf(image)} was baked from is gone${from}.`,
      { next },
    );
  }
  const held = commit === undefined ? '' : `, and its repository no longer gives commit ${commit}`;
  throw new KilnError(
    'source.changed',
    `The folder ${directory} is not what ${nameOf(image)} was baked from any more${held}.`,
    { next },
  );
}

function nameOf({ component, version }: Image): string {
  return `${component}@${version}`;
}

async function isThere(directory: string): Promise<boolean> {
  try {
    await access(directory);
    return true;
  } catch {
    return false;
  }
}
