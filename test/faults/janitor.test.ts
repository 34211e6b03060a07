/** The janitor cut off before and after each of its steps, and killed: what is needed stays whole, and all else goes in the end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { collectBlobs } from '../../src/bakery/litter.ts';
import { blobsOf, readManifest, writeManifest } from '../../src/bakery/oci-layout.ts';
import { Janitor } from '../../src/catalog/janitor.ts';
import type { Digest } from '../../src/domain/ids.ts';
import { isStored } from '../../src/domain/image.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { DEFAULT_RETENTION } from '../../src/domain/retention.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import type { StoreSettings } from '../../src/store/open.ts';
import { by, candidate, image, storefront } from '../contracts/store-samples.ts';
import { open } from '../contracts/store-subjects.ts';

const WORKER = fileURLToPath(new URL('./janitor-worker.ts', import.meta.url));
const IMAGES = 60;
const KILLS = 3;

let directory: string;
let settings: StoreSettings;
let store: Store;
let blobs: FileBlobStore;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'kiln-janitor-'));
  settings = { kind: 'sqlite', file: path.join(directory, 'kiln.db') };
  store = await open(settings);
  blobs = new FileBlobStore(path.join(directory, 'blobs'));
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

/** Each image has a layer that all share and one of its own; every fifth is pinned. */
async function fill(): Promise<void> {
  const shared = await layer('shared');
  for (let n = 1; n <= IMAGES; n += 1) {
    const digest = await writeManifest(blobs, [shared, await layer(`own ${n}`)]);
    const sample = image(n);
    await store.images.create(
      {
        ...sample,
        tags: n % 5 === 0 ? { expires: 'never' } : {},
        artifacts: [{ kind: 'bundle', provider: 'local', arch: 'amd64', digest, sizeBytes: 10 }],
      },
      by,
    );
  }
  await store.channels.move({ component: storefront, channel: candidate, image: image(1).id, why: 'x' }, by);
}

async function layer(text: string) {
  return { digest: await blobs.write(Buffer.from(text)), sizeBytes: text.length };
}

/** Kills it so long after it has begun, if it still runs then; answers what it said. */
async function janitor(killAfterMs?: number): Promise<string> {
  const child = spawn(process.execPath, [WORKER, JSON.stringify(settings), path.join(directory, 'blobs')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (said === '' && killAfterMs !== undefined) setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    said += text;
  });
  await once(child, 'close');
  return said;
}

async function needed(): Promise<readonly Digest[]> {
  const { items } = await store.images.list({}, { limit: 1000 });
  const found: Digest[] = [];
  for (const artifact of items.flatMap((one) => one.artifacts).filter(isStored)) {
    found.push(...blobsOf(artifact.digest, await readManifest(blobs, artifact.digest)));
  }
  return [...new Set(found)];
}

it('loses nothing that an image needs, and leaves no litter, wherever it is killed', async () => {
  await fill();
  await store.janitor.setEnabled(true, by);
  await store.janitor.noteUses(Date.now());
  expect(await janitor()).toMatch(/"announced":47/);
  for (let kill = 0; kill < KILLS; kill += 1) {
    await janitor(Math.random() * 250);
    // Every image that is still there is whole.
    for (const digest of await needed()) await blobs.verify(digest, AbortSignal.timeout(60_000));
  }
  expect(await janitor()).toMatch(/^begun\n(begun\n)?done /);
  const { items } = await store.images.list({}, { limit: 1000 });
  const kept = [1, ...Array.from({ length: IMAGES / 5 }, (_, n) => (n + 1) * 5)];
  expect(items.map((one) => one.id).toSorted()).toEqual(kept.map((n) => image(n).id).toSorted());
  expect(await store.janitor.sweptArtifacts()).toEqual([]);
  const there: Digest[] = [];
  for await (const digest of blobs.list()) there.push(digest);
  expect(there.toSorted()).toEqual([...(await needed())].toSorted());
});

const FEW = 3;
const AT_ONCE = { ...DEFAULT_RETENTION, unusedMs: 0, noticeWorkingDays: 0, share: 1 };

/** Each image has a blob of its own, and a file at a provider; the first is held by a channel. */
async function fillFew(elsewhere: string): Promise<void> {
  await mkdir(elsewhere);
  for (let n = 1; n <= FEW; n += 1) {
    const digest = await writeManifest(blobs, [await layer(`own ${n}`)]);
    await writeFile(path.join(elsewhere, `kept-${n}`), '');
    const form = { arch: 'amd64', sizeBytes: 10 };
    await store.images.create(
      {
        ...image(n),
        artifacts: [
          { kind: 'bundle', provider: 'local', digest, ...form },
          { kind: 'machine', provider: 'folder', reference: `kept-${n}`, ...form },
        ],
      },
      by,
    );
  }
  await store.channels.move({ component: storefront, channel: candidate, image: image(1).id, why: 'x' }, by);
  await store.janitor.setEnabled(true, by);
  await store.janitor.noteUses(Date.now());
}

class Cut extends Error {}

/** Counts steps; from the n-th on nothing is done any more, as after a kill before it or after it. */
function cutting(at: number, where: 'before' | 'after') {
  let steps = 0;
  const step = async <Result>(act: () => Promise<Result>): Promise<Result> => {
    steps += 1;
    if (steps > at || (steps === at && where === 'before')) throw new Cut('cut off');
    const result = await act();
    if (steps === at) throw new Cut('cut off');
    return result;
  };
  const around = <Part extends object>(part: Part, names: readonly string[]): Part =>
    new Proxy(part, {
      get: (target, name) => {
        const found: unknown = Reflect.get(target, name);
        if (typeof found !== 'function') return found;
        if (!names.includes(String(name))) return found.bind(target);
        return (...args: unknown[]) => step(() => found.apply(target, args));
      },
    });
  return { step, around, isOver: () => steps >= at };
}

it('goes on where it was cut off, before or after any of its steps', { timeout: 300_000 }, async () => {
  const full = path.join(directory, 'full');
  await mkdir(full);
  await store.close();
  settings = { kind: 'sqlite', file: path.join(full, 'kiln.db') };
  store = await open(settings);
  blobs = new FileBlobStore(path.join(full, 'blobs'));
  await fillFew(path.join(full, 'elsewhere'));
  await store.close();
  const names = ['decide', 'mark', 'unmark', 'sweep', 'sweptArtifacts', 'forgetArtifacts', 'finishRun'];
  let steps = 0;
  for (let isOver = false; !isOver; steps += 1) {
    for (const where of ['before', 'after'] as const) {
      const world = path.join(directory, 'world');
      await cp(full, world, { recursive: true });
      store = await open({ kind: 'sqlite', file: path.join(world, 'kiln.db') });
      blobs = new FileBlobStore(path.join(world, 'blobs'));
      const elsewhere = path.join(world, 'elsewhere');
      const run = (cut = cutting(Number.POSITIVE_INFINITY, 'after')) => {
        const janitor = new Janitor({
          store: { images: store.images, janitor: cut.around(store.janitor, names) },
          clock: systemClock,
          collectBlobs: async () =>
            collectBlobs(cut.around(blobs, ['delete']), {
              keep: new Set(await store.images.artifacts()),
              cached: new Set(),
            }),
          removals: [
            {
              name: 'folder',
              concerns: ({ provider }) => provider === 'folder',
              remove: ({ reference = '' }) =>
                cut.step(() => rm(path.join(elsewhere, reference), { force: true })),
            },
          ],
          policy: AT_ONCE,
        });
        return janitor.run({ actor: 'janitor', dryRun: false }, new AbortController().signal);
      };
      const cut = cutting(steps + 1, where);
      // Announced by the one run, swept by the next: both may be cut off.
      for (let runs = 0; runs < 2 && !cut.isOver(); runs += 1) {
        await run(cut).catch((error: unknown) => expect(error).toBeInstanceOf(Cut));
      }
      isOver = !cut.isOver();
      const { items } = await store.images.list({}, { limit: 100 });
      expect(items.map((one) => one.id)).toContain(image(1).id);
      for (const digest of await needed()) await blobs.verify(digest, AbortSignal.timeout(60_000));
      const there = await readdir(elsewhere);
      for (const { artifacts } of items) {
        for (const { reference } of artifacts)
          if (reference !== undefined) expect(there).toContain(reference);
      }
      // Then nobody stops it any more.
      await run();
      expect(await run()).toMatchObject({ artifactsLeft: 0, failures: [], waiting: 0 });
      expect((await store.images.list({}, { limit: 100 })).items.map((one) => one.id)).toEqual([image(1).id]);
      expect(await store.janitor.sweptArtifacts()).toEqual([]);
      expect(await readdir(elsewhere)).toEqual(['kept-1']);
      const left: Digest[] = [];
      for await (const digest of blobs.list()) left.push(digest);
      expect(left.toSorted()).toEqual([...(await needed())].toSorted());
      await store.close();
      await rm(world, { recursive: true });
    }
  }
  // Deciding, announcing, sweeping, each blob, each file, forgetting.
  expect(steps).toBeGreaterThan(12);
  store = await open(settings);
});
