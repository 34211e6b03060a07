/** Blobs are collected while others come to need them: nothing that an image stands on is lost, and nothing else stays. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { collectBlobs } from '../../src/bakery/litter.ts';
import { blobsOf, readManifest, writeManifest } from '../../src/bakery/oci-layout.ts';
import { channelName, type Digest } from '../../src/domain/ids.ts';
import type { Image } from '../../src/domain/image.ts';
import { DEFAULT_RETENTION } from '../../src/domain/retention.ts';
import { JanitorRound } from '../../src/server/janitor-round.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { image } from '../contracts/store-samples.ts';
import { open, postgresSubject, type StoreSubject } from '../contracts/store-subjects.ts';
import { digestOf, type Kitchen, NEVER, scratch } from '../e2e/bake-fixture.ts';
import { done, openPair, type Pair } from '../registry/pair.ts';
import { noRegistry, RegistryProcess } from '../registry/registry-process.ts';

const ROUNDS = 12;
const change = { actor: 'tester', atMs: Date.now() };
const policy = { ...DEFAULT_RETENTION, unusedMs: 0, noticeWorkingDays: 0, share: 1 };

async function there(blobs: FileBlobStore): Promise<readonly Digest[]> {
  const found: Digest[] = [];
  for await (const digest of blobs.list()) found.push(digest);
  return found.toSorted();
}

async function needed(blobs: FileBlobStore, images: readonly Image[]): Promise<readonly Digest[]> {
  const digests = images.map(digestOf);
  const all = await Promise.all(digests.map(async (one) => blobsOf(one, await readManifest(blobs, one))));
  return [...new Set(all.flat())].toSorted();
}

const missing = noRegistry();
describe.skipIf(missing !== undefined)(`a pull ${missing ?? ''}`, () => {
  let pair: Pair;
  let registry: RegistryProcess;
  beforeAll(async () => {
    pair = await openPair();
    registry = await RegistryProcess.start();
  });
  afterAll(async () => {
    await pair.close();
    await registry.remove();
  });

  /** From the catalogue, not from the blobs. */
  async function sweep({ store }: Kitchen): Promise<void> {
    const now = { ...change, atMs: Date.now() + 1 };
    await store.janitor.noteUses(now.atMs);
    const { mark } = await store.janitor.decide(policy, now.atMs);
    await store.janitor.mark(mark, 0, now);
    await store.janitor.sweep(mark, policy, now);
    await store.janitor.forgetArtifacts(await store.janitor.sweptArtifacts());
  }

  it('of blobs that were there already loses none of them to a collection in the middle of it', async () => {
    const { here, there: other } = pair;
    const [mine, theirs] = [pair.transfers(here), pair.transfers(other, { blobs: other.blobs })];
    const to = `${registry.host}/shop`;
    const source = await pair.source(6, 2000);
    const kept = await here.baked(source, { version: '1.0.0' });
    const coming = await here.baked(await pair.source(6, 2000), { version: '1.0.1' });
    for (const one of [kept, coming]) await done(mine, mine.push(one, to, 'tester'));
    await done(theirs, theirs.pull(`${to}:1.0.0`, { actor: 'other' }));
    const channel = channelName('candidate');
    await other.store.channels.move({ component: kept.component, channel, image: kept.id, why: 'x' }, change);
    await done(theirs, theirs.pull(`${to}:1.0.1`, { actor: 'other' }));
    const keep = async () => new Set(await other.store.images.artifacts());
    let collected = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      await sweep(other);
      expect((await other.store.images.list({}, { limit: 9 })).items).toHaveLength(1);
      let isDone = false;
      const pulling = done(theirs, theirs.pull(`${to}:1.0.1`, { actor: 'other' })).finally(() => {
        isDone = true;
      });
      while (!isDone) collected += (await other.bakery.collect(keep)).blobs;
      const { outcome } = await pulling;
      expect(outcome.kind).toBe('pulled');
      for (const digest of await needed(other.blobs, [kept, coming])) {
        await other.blobs.verify(digest, NEVER);
      }
    }
    expect(collected).toBeGreaterThan(0);
    await other.bakery.collect(keep);
    expect(await there(other.blobs)).toEqual(await needed(other.blobs, [kept, coming]));
  });
});

describe('two servers on one catalogue, each with blobs of its own', () => {
  let postgres: StoreSubject;
  beforeAll(async () => {
    postgres = await postgresSubject();
  });
  afterAll(() => postgres.close());

  it('each collect what is theirs, and stop for nothing that only the other has', async () => {
    const settings = await postgres.fresh();
    const { directory, remove } = await scratch();
    const servers = await Promise.all(
      ['a', 'b'].map(async (name) => ({
        store: await open(settings),
        blobs: new FileBlobStore(path.join(directory, name)),
      })),
    );
    try {
      let made = 0;
      const images: Image[] = [];
      for (const { store, blobs } of servers) {
        for (const litter of [false, true]) {
          made += 1;
          const own = { digest: await blobs.write(Buffer.from(`own ${made}`)), sizeBytes: 5 };
          const digest = await writeManifest(blobs, [own]);
          const artifacts = [
            { kind: 'bundle', provider: 'local', arch: 'amd64', digest, sizeBytes: 5 },
          ] as const;
          if (!litter) images.push(await store.images.create({ ...image(made), artifacts }, change));
        }
      }
      for (const [at, { store, blobs }] of servers.entries()) {
        const keep = new Set(await store.images.artifacts());
        expect(keep.size).toBe(2);
        const collecting = { keep, cached: new Set<Digest>() };
        // A Kiln that has its catalogue alone takes a manifest that is missing for damage.
        await expect(collectBlobs(blobs, collecting)).rejects.toMatchObject({ code: 'blob.missing' });
        if (at === 0) {
          expect((await collectBlobs(blobs, { ...collecting, isShared: true })).blobs).toBe(3);
          await store.janitor.setEnabled(true, change);
          await store.janitor.finishRun(2, Date.now());
        } else {
          // The run was made there; what was kept here goes with the next round here.
          const round = new JanitorRound({
            janitor: { run: () => Promise.reject(new Error('it has run already')) },
            store: store.janitor,
            events: store.events,
            keepEventsMs: 1e9,
            clock: systemClock,
            log: { info: () => undefined },
            collectBlobs: () => collectBlobs(blobs, { ...collecting, isShared: true }),
          });
          await round.go(new AbortController().signal);
        }
        expect(await there(blobs)).toEqual(await needed(blobs, images.slice(at, at + 1)));
      }
    } finally {
      for (const { store } of servers) await store.close();
      await remove();
    }
  });
});
