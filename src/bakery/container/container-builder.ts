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
import { type ComponentName, type Digest, hexOf } from '../../domain/ids.ts';
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
import { type BuildContext, contextArchive, OWN_DOCKERFILE, readContext } from './build-context.ts';
import { containerArchive } from './container-archive.ts';
import { compareContainers } from './container-compare.ts';
import { exportContainer } from './container-export.ts';
import { baseImages, pinned, refuseSessionMounts } from './dockerfile.ts';

/** Raised when equal inputs would give another image. */
const BUILDER_VERSION = 'container-1';
const BUILD_LIMIT_MS = 60 * 60 * 1000;
const CLEAN_UP_LIMIT_MS = 60_000;
const PRUNE_AGAIN_MS = 200;
/** Another build of the component may hold on to some: that one removes them. */
const PRUNE_ATTEMPTS = 100;
const BUILD_LABEL = 'kiln.build';

export interface ContainerBuilderOptions {
  readonly client: EngineClient;
  readonly blobs: FileBlobStore;
  /** Absolute. */
  readonly stateDirectory: string;
  readonly randomId: () => string;
}

interface Prepared {
  readonly container: ContainerSpec;
  readonly dockerfile: string;
  readonly context: BuildContext;
  readonly inputKey: Digest;
}

const imageShape = z.object({ Id: z.string() });
const imagesShape = z.array(imageShape);
const progressShape = z.object({
  stream: z.string().optional(),
  status: z.string().optional(),
  error: z.string().optional(),
});

export class ContainerBuilder implements Builder {
  readonly kind = 'container';
  readonly #options: ContainerBuilderOptions;

  constructor(options: ContainerBuilderOptions) {
    this.#options = options;
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
    const text = await readDockerfile(directory, container.dockerfile);
    refuseSessionMounts(text);
    const ids = await this.#resolveBases(request, baseImages(text, container.args), signal);
    const label = { name: BUILD_LABEL, value: definition.component };
    const dockerfile = pinned(text, container.args, ids, label);
    const context = await readContext(directory, signal);
    const { image: _, version: _version, ...rest } = definition;
    const inputKey = sha256(
      JSON.stringify([
        BUILDER_VERSION,
        dockerfile,
        container.stage ?? null,
        Object.entries(container.args).toSorted(([a], [b]) => (a < b ? -1 : 1)),
        rest,
        context.digest,
      ]),
    );
    return { container, dockerfile, context, inputKey };
  }

  /** What each `FROM` stands for: the id of an image that the engine has. */
  async #resolveBases(
    request: BuildRequest,
    images: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string>> {
    const ids = new Map<string, string>();
    for (const image of images) {
      if (/^[a-z][a-z0-9-]*@[a-z][a-z0-9-]*$/.test(image)) {
        ids.set(image, await this.#loadedBase(request, image, signal));
      } else ids.set(image, await this.#idOf(image, signal));
    }
    return ids;
  }

  /** `component@channel`, which the bake has resolved. */
  async #loadedBase(request: BuildRequest, reference: string, signal: AbortSignal): Promise<string> {
    const { base, definition } = request;
    const artifact = base?.artifacts.find((one) => one.kind === 'container');
    if (definition.image.base !== reference || artifact === undefined) {
      const what =
        definition.image.base === reference ? 'has no container image' : 'is not the base of this component';
      throw new KilnError('input.invalid', `FROM ${reference}: it ${what}.`, {
        next: `Write \`image: {base: ${reference}}\` in kiln.yaml, and bake that component as a container.`,
      });
    }
    const { client, blobs } = this.#options;
    const digest = storedDigest(artifact);
    const name = `kiln-base:${hexOf(digest)}`;
    try {
      return await this.#inspect(name, signal);
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
    }
    const body = await containerArchive(blobs, digest, name, signal);
    const limitMs = BUILD_LIMIT_MS;
    await client.send({ method: 'POST', path: '/images/load', query: { quiet: '1' }, body, signal, limitMs });
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
        {
          cause: error,
          next: `Bring it there: docker pull ${image}, docker load or docker import.`,
        },
      );
    }
  }

  async #inspect(image: string, signal: AbortSignal): Promise<string> {
    const place = `/images/${encodeURIComponent(image)}/json`;
    return (await this.#options.client.json(imageShape, { method: 'GET', path: place, signal })).Id;
  }

  async #make(
    { definition }: BuildRequest,
    prepared: Prepared,
    afresh: boolean,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<Artifact> {
    const { client, blobs, stateDirectory, randomId } = this.#options;
    const { component } = definition;
    const id = `bake-${randomId()}`;
    const name = `kiln-build-${component}:${id}`;
    const temporary = path.join(stateDirectory, 'tmp');
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    try {
      onProgress({ kind: 'stage', name: 'build', detail: prepared.container.dockerfile });
      await this.#buildImage(prepared, name, afresh, onProgress, signal);
      onProgress({ kind: 'stage', name: 'export', detail: name });
      const artifact = await exportContainer(client, blobs, name, path.join(temporary, `${id}.tar`), signal);
      if (!afresh) await this.#keepAsCache(component, name, signal);
      return artifact;
    } finally {
      await this.#cleanUp(component, name);
    }
  }

  async #buildImage(
    { container, dockerfile, context }: Prepared,
    name: string,
    afresh: boolean,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const limit = AbortSignal.timeout(BUILD_LIMIT_MS);
    const both = AbortSignal.any([signal, limit]);
    const query = {
      t: name,
      dockerfile: OWN_DOCKERFILE,
      buildargs: JSON.stringify(container.args),
      ...(container.stage === undefined ? {} : { target: container.stage }),
      rm: '1',
      forcerm: '1',
      ...(afresh ? { nocache: '1' } : {}),
    };
    const body = contextArchive(context, dockerfile, both);
    try {
      const limitMs = BUILD_LIMIT_MS;
      const log = await this.#options.client.open({
        method: 'POST',
        path: '/build',
        query,
        body,
        signal: both,
        limitMs,
      });
      await follow(log, onProgress);
    } catch (error) {
      signal.throwIfAborted();
      if (limit.aborted) {
        throw new KilnError('build.timeout', 'The build of the Dockerfile took longer than an hour.', {
          next: 'Split it, or look at what hangs.',
        });
      }
      if (isRefusal(error, 400) || isRefusal(error, 500)) throw failed(error.message);
      throw error;
    }
  }

  /** One name a component: the build before loses it and goes, but for the layers that both share. */
  async #keepAsCache(component: ComponentName, name: string, signal: AbortSignal): Promise<void> {
    const query = { repo: `kiln-build-${component}`, tag: 'latest' };
    const place = `/images/${encodeURIComponent(name)}/tag`;
    await this.#options.client.send({ method: 'POST', path: place, query, signal });
  }

  /** Does not listen to the caller's signal: an aborted build must leave nothing. */
  async #cleanUp(component: ComponentName, name: string): Promise<void> {
    const { client } = this.#options;
    const signal = AbortSignal.timeout(CLEAN_UP_LIMIT_MS);
    const place = `/images/${encodeURIComponent(name)}`;
    try {
      await client.send({ method: 'DELETE', path: place, signal });
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
    }
    await this.#prune(component, signal);
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

/** The engine's log: JSON objects, one a line. An error is the last of them. */
async function follow(
  log: AsyncIterable<Buffer>,
  onProgress: (progress: BuildProgress) => void,
): Promise<void> {
  let rest = '';
  let shown = '';
  const take = (line: string): void => {
    if (line.trim() === '') return;
    const { stream, status, error } = progressShape.parse(JSON.parse(line));
    if (error !== undefined) throw failed(error);
    shown += stream ?? (status === undefined ? '' : `${status}\n`);
    const lines = shown.split('\n');
    shown = lines.pop() ?? '';
    for (const text of lines) if (text.trim() !== '') onProgress({ kind: 'output', line: text.trimEnd() });
  };
  const decoder = new TextDecoder();
  for await (const chunk of log) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  }
  take(rest);
  if (shown.trim() !== '') onProgress({ kind: 'output', line: shown.trimEnd() });
}

function failed(why: string): KilnError {
  return new KilnError('build.failed', `The Dockerfile could not be built: ${why}`, {
    next: 'Read the log of the build above; nothing of it is left.',
  });
}
