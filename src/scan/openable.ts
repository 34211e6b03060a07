/** Which forms of an image Kiln can look into: those whose files it keeps itself. */
import type { FileBlobStore } from '../bakery/blobs.ts';
import { isRootfs } from '../bakery/oci-layout.ts';
import { KilnError } from '../domain/errors.ts';
import { type Image, isStored, type StoredArtifact } from '../domain/image.ts';

/** A machine's disk in another form than an archive of its files is not one of them. */
export async function openableArtifacts(
  blobs: FileBlobStore,
  image: Pick<Image, 'artifacts'>,
): Promise<readonly StoredArtifact[]> {
  const found: StoredArtifact[] = [];
  for (const artifact of image.artifacts.filter(isStored)) {
    if (artifact.kind !== 'machine' || (await isRootfs(blobs, artifact.digest))) found.push(artifact);
  }
  return found;
}

export function notHere({ component, version }: Image, next: string): KilnError {
  return new KilnError(
    'target.unsupported',
    `Kiln cannot look into ${component}@${version}: its files are not kept here.`,
    { next },
  );
}
