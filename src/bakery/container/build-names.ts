/**
 * The names that a build has in the engine while it lasts: its result's, and one for each image it stands on, since
 * BuildKit knows images by name only. A marker on disk is there before the first of them, so what a server that was
 * killed has left is found by the next one.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type EngineClient, filters, isRefusal } from '../../docker/engine-client.ts';
import { namesIn } from '../../files/names-in.ts';
import { BUILD_LABEL } from './engine-build.ts';

const CLEAN_UP_LIMIT_MS = 60_000;
const PRUNE_AGAIN_MS = 200;
/** Another build of the component may hold on to some: that one removes them. */
const PRUNE_ATTEMPTS = 100;

const imagesShape = z.array(z.object({ RepoTags: z.array(z.string()).nullish() }));
const imageShape = z.object({ RepoTags: z.array(z.string()).nullish() });

/** A build under way. */
export interface NamedBuild {
  readonly component: string;
  /** Unique, and without a dot. */
  readonly id: string;
  /** What the result is called. */
  readonly name: string;
}

export class BuildNames {
  readonly #client: EngineClient;
  readonly #folder: string;
  readonly #mine = new Set<string>();

  /** @param folder absolute, for the markers */
  constructor(client: EngineClient, folder: string) {
    this.#client = client;
    this.#folder = folder;
  }

  async begin(component: string, id: string): Promise<NamedBuild> {
    await this.#sweep();
    const marker = `${component}.${id}`;
    this.#mine.add(marker);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await writeFile(path.join(this.#folder, marker), '', { mode: 0o600 });
    return { component, id, name: nameOf(component, id) };
  }

  /** By the names of the author, those under which BuildKit finds the same images. */
  async pin(
    { name }: NamedBuild,
    bases: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string>> {
    const pins = new Map<string, string>();
    for (const [base, id] of bases) {
      const pin = `${name}-from-${pins.size}`;
      await this.#tag(id, pin, signal);
      pins.set(base, pin);
    }
    return pins;
  }

  /** The component's last build keeps one name: with it the engine keeps its layers. What it replaces goes. */
  keep({ component, name }: NamedBuild, signal: AbortSignal): Promise<void> {
    return this.#tag(name, nameOf(component, 'latest'), signal);
  }

  /** Does not listen to the caller's signal: an aborted build must leave nothing. */
  async end({ component, id }: NamedBuild): Promise<void> {
    const marker = `${component}.${id}`;
    const signal = AbortSignal.timeout(CLEAN_UP_LIMIT_MS);
    await this.#removeAll(component, id, signal);
    await this.#prune(component, signal);
    await rm(path.join(this.#folder, marker), { force: true });
    this.#mine.delete(marker);
  }

  /** What builds of an earlier server have left; the engine has ended them when it died. */
  async #sweep(): Promise<void> {
    for (const marker of await namesIn(this.#folder)) {
      if (this.#mine.has(marker)) continue;
      const [component = '', id = ''] = marker.split('.');
      await this.end({ component, id, name: nameOf(component, id) });
    }
  }

  async #removeAll(component: string, id: string, signal: AbortSignal): Promise<void> {
    const query = filters({ reference: [`${nameOf(component, id)}*`] });
    const path = '/images/json';
    const found = await this.#client.json(imagesShape, { method: 'GET', path, query, signal });
    const names = found.flatMap(({ RepoTags }) => RepoTags ?? []);
    for (const name of names.filter((one) => one.startsWith(nameOf(component, id)))) {
      await this.#remove(name, name === nameOf(component, id), signal);
    }
  }

  /** A base that has no other name would go with its pin. */
  async #remove(name: string, evenTheLast: boolean, signal: AbortSignal): Promise<void> {
    const place = `/images/${encodeURIComponent(name)}`;
    try {
      const request = { method: 'GET', path: `${place}/json`, signal } as const;
      const { RepoTags } = await this.#client.json(imageShape, request);
      const isLast = (RepoTags ?? []).length <= 1;
      if (!isLast || evenTheLast) await this.#client.send({ method: 'DELETE', path: place, signal });
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
    }
  }

  async #tag(image: string, name: string, signal: AbortSignal): Promise<void> {
    const [repo = '', tag = ''] = name.split(':');
    const place = `/images/${encodeURIComponent(image)}/tag`;
    await this.#client.send({ method: 'POST', path: place, query: { repo, tag }, signal });
  }

  /**
   * What a build that failed, or one that another has followed, has left without a name. The engine ends a build that was
   * cancelled in its own time, and until then holds on to what it had made.
   */
  async #prune(component: string, signal: AbortSignal): Promise<void> {
    const query = filters({ dangling: ['true'], label: [`${BUILD_LABEL}=${component}`] });
    for (let attempt = 1; ; attempt += 1) {
      await this.#client.send({ method: 'POST', path: '/images/prune', query, signal }).catch((error) => {
        if (!isRefusal(error, 409)) throw error; // It prunes for one at a time.
      });
      const path = '/images/json';
      const left = await this.#client.json(imagesShape, { method: 'GET', path, query, signal });
      if (left.length === 0 || attempt === PRUNE_ATTEMPTS) return;
      await sleep(PRUNE_AGAIN_MS, undefined, { signal });
    }
  }
}

function nameOf(component: string, tag: string): string {
  return `kiln-build-${component}:${tag}`;
}
