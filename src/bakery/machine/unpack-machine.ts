import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { KilnError } from '../../domain/errors.ts';
import type { Digest } from '../../domain/ids.ts';
import type { FileBlobStore } from '../blobs.ts';
import { rootfsArchive } from '../oci-layout.ts';

const run = promisify(execFile);
const LIMIT_MS = 15 * 60_000;

/**
 * Writes the files of a machine's root filesystem into an empty folder, to be looked at: with their owners where Kiln
 * is root, else as the user's own; without devices. One archive by one tar, which lets no link lead out of the folder.
 */
export async function unpackMachine(
  blobs: FileBlobStore,
  digest: Digest,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const archive = await blobs.path(await rootfsArchive(blobs, digest));
  const options = ['--numeric-owner', '--same-permissions', '--exclude=./dev/*', '--exclude=dev/*'];
  try {
    await run('tar', ['-C', directory, ...options, '-xf', archive], { signal, timeout: LIMIT_MS });
  } catch (cause) {
    signal.throwIfAborted();
    throw new KilnError('check.failed', 'The root filesystem of the machine cannot be unpacked.', {
      cause,
      next: 'See that the disk has room, and that tar is installed.',
    });
  }
}
