/** What tests of baking share: a bakery on a state directory of its own, with a real store, and source folders. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { BakeOutcome, BakeProgress } from '../../src/bakery/bake-record.ts';
import { Bakery } from '../../src/bakery/bakery.ts';
import type { BakeRequest } from '../../src/bakery/baking.ts';
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { BundleBuilder } from '../../src/bakery/bundle/bundle-builder.ts';
import { WorkerPool } from '../../src/bakery/bundle/worker-pool.ts';
import { readGitFacts } from '../../src/bakery/git-facts.ts';
import { removeUnpacked, unpackBundle } from '../../src/bakery/unpack.ts';
import { readComponent } from '../../src/component/read.ts';
import type { KilnError } from '../../src/domain/errors.ts';
import type { Digest } from '../../src/domain/ids.ts';
import { type Image, isStored } from '../../src/domain/image.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { openStore } from '../../src/store/open.ts';

export const WORKER_ENTRY = path.resolve(import.meta.dirname, '../../src/bakery/bundle/worker.ts');
export const NEVER = new AbortController().signal;
export const SEARCH_PATH = `${path.dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`;
export const BWRAP = existsSync('/usr/bin/bwrap') ? '/usr/bin/bwrap' : undefined;

export async function scratch(): Promise<{ directory: string; remove: () => Promise<void> }> {
  const directory = await realpath(await mkdtemp(path.join(tmpdir(), 'kiln-bake-')));
  return { directory, remove: () => removeUnpacked(directory) };
}

/** Writes files, text by path; their folders are made. */
export async function writeTree(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(root, file)), { recursive: true });
    await writeFile(path.join(root, file), text);
  }
}

export function kilnYaml(image = ''): string {
  return `component: shop\nimage:\n  kind: bundle\n${image}service:\n  run: node server.js\n`;
}

export interface Kitchen {
  readonly bakery: Bakery;
  readonly builder: BundleBuilder;
  readonly blobs: FileBlobStore;
  readonly pool: WorkerPool;
  readonly store: Store;
  readonly state: string;
  /** Bakes and waits for the end. */
  bake(directory: string, options?: Partial<BakeRequest>): Promise<BakeOutcome>;
  /** Fails the test when it does not end well. */
  baked(directory: string, options?: Partial<BakeRequest>): Promise<Image>;
  /** The error of a bake that has to fail. */
  failure(directory: string, options?: Partial<BakeRequest>): Promise<KilnError>;
  /** Stage names with their details of the last bake. */
  readonly stages: readonly string[];
  unpack(digest: Digest): Promise<string>;
  close(): Promise<void>;
}

export async function openKitchen(
  state: string,
  bwrap: string | undefined = BWRAP,
  network: Readonly<Record<string, string>> = {},
): Promise<Kitchen> {
  await mkdir(state, { recursive: true, mode: 0o700 });
  const pool = new WorkerPool({ workerEntry: WORKER_ENTRY, threads: 2, idleMs: 60_000 });
  const blobs = new FileBlobStore(path.join(state, 'blobs'));
  const randomId = (): string => randomUUID();
  const host = { searchPath: SEARCH_PATH, network, bwrap };
  const builder = new BundleBuilder({
    blobs,
    pool,
    stateDirectory: state,
    host,
    clock: systemClock,
    arch: 'amd64',
    randomId,
  });
  const store = await openStore(
    { kind: 'sqlite', file: path.join(state, 'kiln.db') },
    { clock: systemClock },
  );
  const bakery = new Bakery({
    store,
    blobs,
    builders: [builder],
    clock: systemClock,
    stateDirectory: state,
    origin: { server: 'here', host: 'kitchen' },
    readDefinition: async (directory) => (await readComponent(directory)).definition,
    readGitFacts,
    cachedLayers: (sinceMs) => builder.cachedLayers(sinceMs),
    randomId,
  });
  const stages: string[] = [];
  const bake = async (directory: string, options: Partial<BakeRequest> = {}): Promise<BakeOutcome> => {
    stages.length = 0;
    const { id } = await bakery.start({ directory, actor: 'tester', ...options });
    const seen: BakeProgress[] = [];
    for await (const progress of bakery.follow(id, NEVER)) {
      seen.push(progress);
      if (progress.kind === 'stage') stages.push(`${progress.name}: ${progress.detail}`);
    }
    const last = seen.at(-1);
    if (last?.kind !== 'end') throw new Error('the progress of a bake has to end');
    return last.outcome;
  };
  return {
    bakery,
    builder,
    blobs,
    pool,
    store,
    state,
    bake,
    stages,
    baked: async (directory, options) => {
      const outcome = await bake(directory, options);
      if (outcome.kind === 'failed') throw outcome.error;
      return outcome.image;
    },
    failure: async (directory, options) => {
      const outcome = await bake(directory, options);
      if (outcome.kind !== 'failed') throw new Error(`expected a failure, got ${outcome.kind}`);
      return outcome.error;
    },
    unpack: async (digest) => {
      const destination = path.join(state, `unpacked-${randomUUID()}`);
      await unpackBundle({ blobs, pool }, digest, destination, NEVER);
      return destination;
    },
    close: async () => {
      await bakery.close();
      await store.close();
    },
  };
}

export function digestOf(image: Pick<Image, 'artifacts'>): Digest {
  const [artifact] = image.artifacts.filter(isStored);
  if (artifact === undefined) throw new Error('an image has an artifact');
  return artifact.digest;
}

/** Everything under a folder, sorted, without what a running server keeps. */
export async function listing(folder: string): Promise<string[]> {
  return existsSync(folder) ? (await readdir(folder, { recursive: true })).toSorted() : [];
}

export async function removeAll(...folders: readonly string[]): Promise<void> {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
}
