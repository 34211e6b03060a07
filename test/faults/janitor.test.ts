/** The janitor in a process of its own, killed at random moments: what is needed stays whole, and all else goes in the end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { blobsOf, readManifest, writeManifest } from '../../src/bakery/oci-layout.ts';
import type { Digest } from '../../src/domain/ids.ts';
import { isStored } from '../../src/domain/image.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import type { StoreSettings } from '../../src/store/open.ts';
import { by, candidate, image, storefront } from '../contracts/store-samples.ts';
import { open } from '../contracts/store-subjects.ts';

const WORKER = fileURLToPath(new URL('./janitor-worker.ts', import.meta.url));
const IMAGES = 60;
const KILLS = 5;

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
    for (const digest of await needed()) await blobs.verify(digest, AbortSignal.timeout(10_000));
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
