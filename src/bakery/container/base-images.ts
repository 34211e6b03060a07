/** What each `FROM` of a Dockerfile stands for: the id of an image that the engine has. Nothing is pulled. */
import { z } from 'zod';
import { type EngineClient, isRefusal } from '../../docker/engine-client.ts';
import { IMAGE_REFERENCE } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import { hexOf } from '../../domain/ids.ts';
import { storedDigest } from '../../domain/image.ts';
import type { BlobStore } from '../../domain/ports/blobs.ts';
import type { BuildRequest } from '../../domain/ports/builder.ts';
import { containerArchive } from './container-archive.ts';

const LOAD_LIMIT_MS = 60 * 60 * 1000;

const imageShape = z.object({ Id: z.string() });

export class BaseImages {
  readonly #client: EngineClient;
  readonly #blobs: BlobStore;

  constructor(client: EngineClient, blobs: BlobStore) {
    this.#client = client;
    this.#blobs = blobs;
  }

  /** `component@channel` is the base that the bake has resolved; all else is what the engine has by this name now. */
  async resolve(
    request: BuildRequest,
    images: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string>> {
    const ids = new Map<string, string>();
    for (const image of images) {
      const isOurs = IMAGE_REFERENCE.test(image);
      ids.set(image, isOurs ? await this.#loaded(request, image, signal) : await this.#idOf(image, signal));
    }
    return ids;
  }

  async #loaded(request: BuildRequest, reference: string, signal: AbortSignal): Promise<string> {
    const { base, definition } = request;
    const artifact = base?.artifacts.find((one) => one.kind === 'container');
    if (definition.image.base !== reference || artifact === undefined) {
      const what =
        definition.image.base === reference ? 'has no container image' : 'is not the base of this component';
      throw new KilnError('input.invalid', `FROM ${reference}: it ${what}.`, {
        next: `Write \`image: {base: ${reference}}\` in kiln.yaml, and bake that component as a container.`,
      });
    }
    const digest = storedDigest(artifact);
    const name = `kiln-base:${hexOf(digest)}`;
    try {
      return await this.#inspect(name, signal);
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
    }
    const body = await containerArchive(this.#blobs, digest, name, signal);
    const limitMs = LOAD_LIMIT_MS;
    const query = { quiet: '1' };
    await this.#client.send({ method: 'POST', path: '/images/load', query, body, signal, limitMs });
    return this.#inspect(name, signal);
  }

  async #idOf(image: string, signal: AbortSignal): Promise<string> {
    try {
      return await this.#inspect(image, signal);
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
      throw new KilnError(
        'input.invalid',
        `The Dockerfile stands on ${image}, which the Docker engine does not have.`,
        { cause: error, next: `Bring it there: docker pull ${image}, docker load or docker import.` },
      );
    }
  }

  async #inspect(image: string, signal: AbortSignal): Promise<string> {
    const path = `/images/${encodeURIComponent(image)}/json`;
    return (await this.#client.json(imageShape, { method: 'GET', path, signal })).Id;
  }
}
