/**
 * What instances are started from. A bundle is unpacked on the host and mounted into its runtime; a container image is
 * loaded into the engine, under a name of this Kiln's, when the engine does not have it.
 */
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { type EngineClient, isRefusal } from '../../docker/engine-client.ts';
import type { ArtifactKind } from '../../domain/component.ts';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import { type Digest, hexOf, digest as parseDigest, type ServerGroupName } from '../../domain/ids.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { GroupSpec } from '../../domain/server-group.ts';
import { readIfThere, removeFile, replaceFile } from '../../files/durable-file.ts';
import type { TargetParts } from '../target-parts.ts';
import { whileWanted } from '../turns.ts';
import { UnpackedImages } from '../unpacked-images.ts';
import { APP_DIRECTORY } from './container-body.ts';
import type { DockerLayout } from './layout.ts';

/** An image that nobody uses is kept this long after it was last asked for: a rollback may want it. */
const KEEP_UNUSED_MS = 60 * 60 * 1000;
const LOAD_LIMIT_MS = 15 * 60 * 1000;

const imageShape = z.object({
  Id: z.string(),
  Config: z
    .object({
      WorkingDir: z.string().optional(),
      Cmd: z.array(z.string()).nullish(),
      Entrypoint: z.array(z.string()).nullish(),
    })
    .nullish(),
});

/** How one instance is started. */
export interface Start {
  /** What the engine knows it by. */
  readonly image: string;
  readonly appDirectory: string;
  readonly bundle: string | undefined;
}

export type ImageParts = Pick<TargetParts, 'unpack' | 'kindOf' | 'containerArchive'> & {
  readonly layout: DockerLayout;
  readonly client: EngineClient;
  readonly clock: Clock;
};

export class DockerImages {
  readonly #parts: ImageParts;
  readonly #unpacked: UnpackedImages;
  readonly #loading = new Map<Digest, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(parts: ImageParts) {
    this.#parts = parts;
    this.#unpacked = new UnpackedImages(parts.layout, parts.unpack);
  }

  async open(): Promise<void> {
    await this.#unpacked.open();
    await mkdir(this.#parts.layout.loaded, { recursive: true, mode: 0o700 });
  }

  async prepare(artifact: Digest, owner: string, signal: AbortSignal): Promise<void> {
    const kind = await this.#parts.kindOf(artifact);
    if (kind === 'bundle') await this.#unpacked.prepare(artifact, signal);
    else await this.#load(artifact, owner, signal);
  }

  kindOf(artifact: Digest): Promise<ArtifactKind> {
    return this.#parts.kindOf(artifact);
  }

  /** The artifact has been prepared. The runtime of a group is the one that its first instance found. */
  async start(spec: GroupSpec, owner: string, signal: AbortSignal): Promise<Start> {
    if ((await this.#parts.kindOf(spec.artifact)) !== 'bundle') {
      const image = loadedName(spec.artifact, owner);
      const { Config } = await this.#inspect(image, signal);
      return { image, appDirectory: Config?.WorkingDir || '/', bundle: undefined };
    }
    const image = await this.#runtime(spec, signal);
    return { image, appDirectory: APP_DIRECTORY, bundle: this.#parts.layout.image(spec.artifact) };
  }

  async forgetRuntime(group: ServerGroupName): Promise<void> {
    await removeFile(this.#parts.layout.runtime(group));
  }

  async removeUnused(inUse: ReadonlySet<Digest>, owner: string): Promise<void> {
    const { layout, client, clock } = this.#parts;
    await this.#unpacked.removeUnused(inUse, clock.now());
    for (const hex of await readdir(layout.loaded)) {
      const marker = path.join(layout.loaded, hex);
      const artifact = parseDigest(`sha256:${hex}`);
      if (inUse.has(artifact) || clock.now() - (await stat(marker)).mtimeMs < KEEP_UNUSED_MS) continue;
      const name = encodeURIComponent(loadedName(artifact, owner));
      const signal = this.#closing.signal;
      await client
        .send({ method: 'DELETE', path: `/images/${name}`, signal })
        .catch((error) => allow(error, 404));
      await rm(marker, { force: true });
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new KilnError('aborted', 'The target is being closed.'));
    await this.#unpacked.close();
    await Promise.allSettled(this.#loading.values());
  }

  /** Several callers of one image share the work. */
  async #load(artifact: Digest, owner: string, signal: AbortSignal): Promise<void> {
    let work = this.#loading.get(artifact);
    if (work === undefined) {
      work = this.#loadMissing(artifact, owner).finally(() => this.#loading.delete(artifact));
      work.catch(() => undefined); // Whoever still waits is told.
      this.#loading.set(artifact, work);
    }
    await whileWanted(work, signal);
  }

  async #loadMissing(artifact: Digest, owner: string): Promise<void> {
    const { client, layout, containerArchive } = this.#parts;
    const { signal } = this.#closing;
    const name = loadedName(artifact, owner);
    // Before it is loaded: what a crash leaves in the engine is found by its marker.
    await writeFile(path.join(layout.loaded, hexOf(artifact)), '', { mode: 0o600 });
    if (await this.#isThere(name, signal)) return;
    const body = await containerArchive(artifact, name, signal);
    try {
      const query = { quiet: '1' };
      const limitMs = LOAD_LIMIT_MS;
      await client.send({ method: 'POST', path: '/images/load', query, body, signal, limitMs });
    } catch (error) {
      throw asKilnError(error);
    }
    if (await this.#isThere(name, signal)) return;
    throw new KilnError('target.rejected', `The Docker engine took ${artifact} and does not have it.`, {
      next: 'Look at the log of the engine.',
      retryable: true,
    });
  }

  async #isThere(name: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#ask(name, signal);
      return true;
    } catch (error) {
      if (isRefusal(error, 404)) return false;
      throw error;
    }
  }

  async #runtime(spec: GroupSpec, signal: AbortSignal): Promise<string> {
    const file = this.#parts.layout.runtime(spec.group);
    const chosen = await readIfThere(file);
    if (chosen !== undefined) return (await this.#inspect(chosen, signal)).Id;
    if (spec.runtime === undefined) {
      throw new KilnError(
        'target.unsupported',
        `${spec.group} is a bundle, and nothing says which runtime image it runs in.`,
        { next: 'Name one in kiln.yaml: `image: {runtime: node:24}`, an image that the Docker engine has.' },
      );
    }
    const { Id } = await this.#inspect(spec.runtime, signal);
    await replaceFile(file, Id);
    return Id;
  }

  async #inspect(name: string, signal: AbortSignal): Promise<z.output<typeof imageShape>> {
    try {
      return await this.#ask(name, signal);
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
      throw new KilnError('target.unsupported', `The Docker engine has no image ${name}.`, {
        cause: error,
        next: `Bring it there: docker pull ${name}, docker load or docker import.`,
      });
    }
  }

  #ask(name: string, signal: AbortSignal): Promise<z.output<typeof imageShape>> {
    const path = `/images/${encodeURIComponent(name)}/json`;
    return this.#parts.client.json(imageShape, { method: 'GET', path, signal });
  }
}

/** Of this Kiln alone: another one on the same engine removes its own. */
function loadedName(artifact: Digest, owner: string): string {
  return `kiln-${owner}:${hexOf(artifact)}`;
}

function allow(error: unknown, status: number): void {
  if (!isRefusal(error, status)) throw error;
}
