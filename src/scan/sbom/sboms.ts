/**
 * The SBOM of every image, made when it is first asked for: a bake never waits for it. It follows from the image's
 * bytes alone, so the files here are a cache: losing one costs time.
 */
import path from 'node:path';
import type { FileBlobStore } from '../../bakery/blobs.ts';
import type { Image, StoredArtifact } from '../../domain/image.ts';
import { readIfThere, replaceFile } from '../../files/durable-file.ts';
import { notHere, openableArtifacts } from '../openable.ts';
import { sbomText } from './cyclonedx.ts';
import { readChosenFiles } from './image-files.ts';
import { packageFiles, packagesOf } from './package-files.ts';
import type { Package } from './package-url.ts';

/** Raised when the same image would give another SBOM. */
const SBOM_FORMAT = 1;

export class Sboms {
  readonly #blobs: FileBlobStore;
  readonly #directory: string;
  readonly #underWay = new Map<string, Promise<string>>();

  /** @param directory absolute; made when first written to */
  constructor(blobs: FileBlobStore, directory: string) {
    this.#blobs = blobs;
    this.#directory = directory;
  }

  /** The form of the image that can be looked into here; undefined: none of it is kept here. */
  async openable(image: Image): Promise<StoredArtifact | undefined> {
    return (await openableArtifacts(this.#blobs, image))[0];
  }

  /**
   * CycloneDX JSON. Fails with `target.unsupported` where Kiln does not keep the image's files itself, `blob.missing`
   * or `blob.damaged` where they have gone.
   */
  async of(image: Image, signal: AbortSignal): Promise<string> {
    const kept = await readIfThere(this.#file(image));
    if (kept !== undefined) return kept;
    // Two who ask at once get the one that is being made; it is not for one of them to end it.
    const underWay = this.#underWay.get(image.id) ?? this.#make(image);
    this.#underWay.set(image.id, underWay);
    const text = await underWay.finally(() => this.#underWay.delete(image.id));
    signal.throwIfAborted();
    return text;
  }

  async #make(image: Image): Promise<string> {
    const openable = await openableArtifacts(this.#blobs, image);
    if (openable.length === 0) throw notHere(image, 'Let the tool that built the image make its SBOM.');
    const packages = new Map<string, Package>();
    const unreadable = new Set<string>();
    for (const { digest } of openable) {
      const files = await readChosenFiles(this.#blobs, digest, packageFiles);
      const found = packagesOf(files);
      for (const one of found.packages) packages.set(`${one.ecosystem} ${one.name} ${one.version}`, one);
      for (const file of found.unreadable) unreadable.add(file);
    }
    const text = sbomText(image, { packages: [...packages.values()], unreadable: [...unreadable] });
    await replaceFile(this.#file(image), text);
    return text;
  }

  #file({ id }: Image): string {
    return path.join(this.#directory, `${id}.${SBOM_FORMAT}.json`);
  }
}
