/**
 * Bakes containers from a Dockerfile through the Docker Engine API. What the file stands on is resolved first, to images
 * by their id: the component's base to its artifact, everything else to what the engine has now. The result is copied
 * into the blob store, so that it is kept, moved and swept like every other artifact; the engine keeps the last build of
 * each component as its cache.
 */
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { EngineClient } from '../../docker/engine-client.ts';
import type { ContainerSpec } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import type { Digest } from '../../domain/ids.ts';
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
import { BuildNames } from './build-names.ts';
import { compareContainers } from './container-compare.ts';
import { exportContainer } from './container-export.ts';
import { baseImages, pinned } from './dockerfile.ts';
import { buildOnEngine } from './engine-build.ts';
import { type BuildGrants, grantedAgent, grantedSecrets } from './granted-secrets.ts';
import { checkMounts, hasMounts } from './mounts.ts';

/** Raised when equal inputs would give another image. */
const BUILDER_VERSION = 'container-2';

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

export class ContainerBuilder implements Builder {
  readonly kind = 'container';
  readonly #options: ContainerBuilderOptions;
  readonly #bases: BaseImages;
  readonly #names: BuildNames;

  constructor(options: ContainerBuilderOptions) {
    this.#options = options;
    this.#bases = new BaseImages(options.client, options.blobs);
    this.#names = new BuildNames(options.client, path.join(options.stateDirectory, 'container-builds'));
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
    const { container, tags } = definition.image;
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
        ...(tags === undefined
          ? []
          : [{ tags: Object.entries(tags).toSorted(([a], [b]) => (a < b ? -1 : 1)) }]),
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
    const secrets = await grantedSecrets(grants, component, container);
    const sshAgent = await grantedAgent(grants, container, signal);
    const temporary = path.join(stateDirectory, 'tmp');
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    const named = await this.#names.begin(component, `bake-${randomId()}`);
    try {
      const { builder } = await client.ping(signal);
      const bases =
        builder === 'classic' ? prepared.bases : await this.#names.pin(named, prepared.bases, signal);
      onProgress({ kind: 'stage', name: 'build', detail: container.dockerfile });
      const build = { ...prepared, ...named, bases, secrets, sshAgent, afresh };
      await buildOnEngine(client, build, builder, onProgress, signal);
      onProgress({ kind: 'stage', name: 'export', detail: named.name });
      const file = path.join(temporary, `${named.id}.tar`);
      const artifact = await exportContainer(client, blobs, named.name, file, signal);
      if (!afresh) await this.#names.keep(named, signal);
      return artifact;
    } finally {
      await this.#names.end(named);
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
