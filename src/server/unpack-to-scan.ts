import type { FileBlobStore } from '../bakery/blobs.ts';
import { unpackMachine } from '../bakery/machine/unpack-machine.ts';
import { artifactKind } from '../bakery/oci-layout.ts';
import { KilnError } from '../domain/errors.ts';
import type { Digest } from '../domain/ids.ts';

type Unpack = (digest: Digest, directory: string, signal: AbortSignal) => Promise<void>;

/** The files of an image in an empty folder, for scanners that look at files. */
export function unpackToScan(blobs: FileBlobStore, unpackBundle: Unpack): Unpack {
  return async (digest, directory, signal) => {
    const kind = await artifactKind(blobs, digest);
    if (kind === 'bundle') return unpackBundle(digest, directory, signal);
    if (kind === 'machine') return unpackMachine(blobs, digest, directory, signal);
    throw new KilnError('target.unsupported', 'Scanners see of a container its SBOM alone, not its files.', {
      next: 'Let the scanner read the SBOM: `reads: sbom` in settings.yaml.',
    });
  };
}
