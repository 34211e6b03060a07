/**
 * Bakes containers from a Dockerfile through the Docker Engine API. What the file stands on is resolved first, to images
 * by their id: the component's base to its artifact, everything else to what the engine has now. The result is copied
 * into the blob store, so that it is kept, moved and swept like every other artifact; the engine keeps the last build of
 * each component as its cache.
 */
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type EngineClient, filters, isRefusal } from '../../docker/engine-client.ts';
import type { ContainerSpec } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import type { ComponentName, Digest } from '../../domain/ids.ts';
import { type Artifact, storedDigest } from '../../domain/image.ts';
import type {
  BuildDifference,
  Builder,
  BuildPlan,
  BuildProgress,
  BuildRequest,
  BuildResult,
} from '../../domain/ports/builder.ts';
import { isMissing } from '../../files/system-error.ts';
import { type FileBlobStore, sha256 } from '../blobs.ts';
import { isWholeInBlobs } from '../oci-layout.ts';
import { BaseImages } from './base-images.ts';
import { type BuildContext, readContext } from './build-context.ts';
import { compareContainers } from './container-compare.ts';
import { exportContainer } from './container-export.ts';
import { baseImages, pinned } from './dockerfile.ts';
import { BUILD_LABEL, buildOnEngine } from './engine-build.ts';
import { type BuildGrants, grantedAgent, grantedSecrets } from './granted-secrets.ts';
import { checkMounts, hasMounts } from './mounts.ts';

/** Raised when equal inputs would give another image. */
const BUILDER_VERSION = 'container-2';
const CLEAN_UP_LIMIT_MS = 60_000;
const PRUNE_AGAIN_MS = 200;
/** Another build of the component may hold on to some: that one removes them. */
const PRUNE_ATTEMPTS = 100;

export interface ContainerBuilderOptions {
  readonly client: EngineClient;
  readonly blobs: FileBlobStore;
  /** Absolute. */
  readonly stateDirectory: string;
  readonly randomId: () => string;
  readonly grants: BuildGrants;
}

interface Prepared {
  readonly container: ContainerSpec;
  readonly dockerfile: string;
  /** By the names that the file has for them. */
  readonly bases: ReadonlyMap<string, string>;
  readonly context: BuildContext;
  readonly inputKey: Digest;
}

const namedShape = z.object({ RepoTags: z.array(z.string()).nullish() });
const imagesShape = z.array(z.object({ Id: z.string() }));

export class ContainerBuilder implements Builder {
  readonly kind = 'container';
  readonly #options: ContainerBuilderOptions;
  readonly #bases: BaseImages;

  constructor(options: ContainerBuilderOptions) {
    this.#options = options;
    this.#bases = new BaseImages(options.client, options.blobs);
  }

  async plan(request: BuildRequest, signal: AbortSignal): Promise<BuildPlan> {
    const { inputKey } = await this.#prepare(request, signal);
    return { inputKey };
  }

  async build(
    request: BuildRequest,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<BuildResult> {
    const prepared = await this.#prepare(request, signal);
    const artifact = await this.#make(request, prepared, false, onProgress, signal);
    return { inputKey: prepared.inputKey, artifacts: [artifact] };
  }

  async verify(
    request: BuildRequest,
    artifact: Artifact,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<readonly BuildDifference[]> {
    const prepared = await this.#prepare(request, signal);
    const again = await this.#make(request, prepared, true, onProgress, signal);
    onProgress({ kind: 'stage', name: 'compare', detail: storedDigest(artifact) });
    return compareContainers(this.#options.blobs, storedDigest(artifact), storedDigest(again));
  }

  isWhole(artifact: Artifact): Promise<boolean> {
    return isWholeInBlobs(this.#options.blobs, storedDigest(artifact));
  }

  async close(): Promise<void> {
    this.#options.client.close();
  }

  async #prepare(request: BuildRequest, signal: AbortSignal): Promise<Prepared> {
    const { definition, directory } = request;
    const { container } = definition.image;
    if (container === undefined)
      throw new KilnError('internal', 'An image of kind container has no settings.');
    const dockerfile = await readDockerfile(directory, container.dockerfile);
    if (hasMounts(dockerfile)) {
      const { builder } = await this.#options.client.ping(signal);
      checkMounts(dockerfile, { file: container.dockerfile, container, builder });
    }
    const bases = await this.#bases.resolve(request, baseImages(dockerfile, container.args), signal);
    const context = await readContext(directory, signal);
    const { image: _, version: _version, ...rest } = definition;
    const inputKey = sha256(
      JSON.stringify([
        BUILDER_VERSION,
        pinned(dockerfile, container.args, bases),
        container.stage ?? null,
        Object.entries(container.args).toSorted(([a], [b]) => (a < b ? -1 : 1)),
        rest,
        context.digest,
      ]),
    );
    return { container, dockerfile, bases, context, inputKey };
  }

  async #make(
    { definition }: BuildRequest,
    prepared: Prepared,
    afresh: boolean,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<Artifact> {
    const { client, blobs, stateDirectory, randomId, grants } = this.#options;
    const { component } = definition;
    const { container } = prepared;
    const id = `bake-${randomId()}`;
    const name = `kiln-build-${component}:${id}`;
    const secrets = await grantedSecrets(grants, component, container);
    const sshAgent = await grantedAgent(grants, container, signal);
    const temporary = path.join(stateDirectory, 'tmp');
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    const pins: string[] = [];
    try {
      const { builder } = await client.ping(signal);
      const bases =
        builder === 'classic' ? prepared.bases : await this.#pin(prepared.bases, name, pins, signal);
      onProgress({ kind: 'stage', name: 'build', detail: container.dockerfile });
      const build = { ...prepared, bases, id, component, name, secrets, sshAgent, afresh };
      await buildOnEngine(client, build, builder, onProgress, signal);
      onProgress({ kind: 'stage', name: 'export', detail: name });
      const artifact = await exportContainer(client, blobs, name, path.join(temporary, `${id}.tar`), signal);
      if (!afresh) await this.#tag(name, `kiln-build-${component}:latest`, signal);
      return artifact;
    } finally {
      await this.#cleanUp(component, name, pins);
    }
  }

  /** BuildKit knows images by name only: each base gets one of this build's own, while it lasts. */
  async #pin(
    bases: ReadonlyMap<string, string>,
    name: string,
    pins: string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string>> {
    const pinnedBases = new Map<string, string>();
    for (const [base, id] of bases) {
      const pin = `${name}-from-${pins.length}`;
      pins.push(pin);
      await this.#tag(id, pin, signal);
      pinnedBases.set(base, pin);
    }
    return pinnedBases;
  }

  /** Of the names of a component's builds only the last `latest` stays: it is the cache, and what it replaces goes. */
  async #tag(image: string, name: string, signal: AbortSignal): Promise<void> {
    const [repo = '', tag = ''] = name.split(':');
    const place = `/images/${encodeURIComponent(image)}/tag`;
    await this.#options.client.send({ method: 'POST', path: place, query: { repo, tag }, signal });
  }

  /** Does not listen to the caller's signal: an aborted build must leave nothing. */
  async #cleanUp(component: ComponentName, name: string, pins: readonly string[]): Promise<void> {
    const signal = AbortSignal.timeout(CLEAN_UP_LIMIT_MS);
    await this.#remove(name, signal);
    for (const pin of pins) await this.#unpin(pin, signal);
    await this.#prune(component, signal);
  }

  async #remove(name: string, signal: AbortSignal): Promise<void> {
    const place = `/images/${encodeURIComponent(name)}`;
    await this.#options.client.send({ method: 'DELETE', path: place, signal }).catch((error) => {
      if (!isRefusal(error, 404)) throw error;
    });
  }

  /** An image that has no other name would go with its pin. */
  async #unpin(pin: string, signal: AbortSignal): Promise<void> {
    const place = `/images/${encodeURIComponent(pin)}/json`;
    try {
      const image = await this.#options.client.json(namedShape, { method: 'GET', path: place, signal });
      if ((image.RepoTags ?? []).length > 1) await this.#remove(pin, signal);
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
    }
  }

  /**
   * What a build that failed, or one that another has followed, has left without a name. The engine ends a build that was
   * cancelled in its own time, and until then holds on to what it had made.
   */
  async #prune(component: ComponentName, signal: AbortSignal): Promise<void> {
    const { client } = this.#options;
    const query = filters({ dangling: ['true'], label: [`${BUILD_LABEL}=${component}`] });
    for (let attempt = 1; ; attempt += 1) {
      await client.send({ method: 'POST', path: '/images/prune', query, signal }).catch((error) => {
        if (!isRefusal(error, 409)) throw error; // It prunes for one at a time.
      });
      const left = await client.json(imagesShape, { method: 'GET', path: '/images/json', query, signal });
      if (left.length === 0 || attempt === PRUNE_ATTEMPTS) return;
      await sleep(PRUNE_AGAIN_MS, undefined, { signal });
    }
  }
}

async function readDockerfile(directory: string, name: string): Promise<string> {
  try {
    return await readFile(path.join(directory, name), 'utf8');
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new KilnError('input.invalid', `There is no ${name} in ${directory}.`, {
      cause: error,
      next: 'Write one, or name it as `image: {container: {dockerfile: …}}`.',
    });
  }
}
