/** What can befall a push or a pull: a registry that dies, a way that breaks, bytes that are wrong, a full disk. */
import { spawnSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { readManifest } from '../../src/bakery/oci-layout.ts';
import type { Image } from '../../src/domain/image.ts';
import { KnownPlaces } from '../../src/registry/known-places.ts';
import { digestOf, listing, NEVER } from '../e2e/bake-fixture.ts';
import { FlakyWay } from '../registry/flaky-way.ts';
import { done, ended, openPair, type Pair } from '../registry/pair.ts';
import { noRegistry, RegistryProcess } from '../registry/registry-process.ts';

const missing = noRegistry();
const MIB = 1024 * 1024;
/** Too short for a registry that does not come back. */
const HASTY = { patienceMs: 500 };

describe.skipIf(missing !== undefined)(`faults of a registry ${missing ?? ''}`, () => {
  let pair: Pair;
  let registry: RegistryProcess;
  const ways: FlakyWay[] = [];
  beforeEach(async () => {
    pair = await openPair();
    registry = await RegistryProcess.start();
  });
  afterEach(async () => {
    await pair.close();
    for (const way of ways.splice(0)) await way.close();
    await registry.remove();
  });

  /** A way to the registry on which something happens once, when so many bytes have passed. */
  async function wayThat(direction: 'up' | 'down', afterBytes: number, act: (way: FlakyWay) => void) {
    let passed = 0;
    let acted = false;
    const way = await FlakyWay.to(registry.port, (towards, piece, own) => {
      if (towards === direction) passed += piece.length;
      if (acted || passed < afterBytes) return;
      acted = true;
      act(own);
    });
    ways.push(way);
    return way;
  }

  async function pushed(files: number, sizeBytes: number): Promise<Image> {
    const image = await pair.here.baked(await pair.source(files, sizeBytes), { version: '1.0.0' });
    const mine = pair.transfers(pair.here);
    await done(mine, mine.push(image, `${registry.host}/shop`, 'tester'));
    return image;
  }

  async function nothingClaimed(): Promise<void> {
    expect((await pair.there.store.images.list({}, { limit: 10 })).items).toEqual([]);
    expect(await listing(path.join(pair.there.state, 'blobs/staging'))).toEqual([]);
  }

  it('killed in the middle of a push: no image is claimed there, and the next push goes on by blob', async () => {
    const image = await pair.here.baked(await pair.source(7, 17 * MIB), { version: '1.0.0' });
    let killed: Promise<void> | undefined;
    const way = await wayThat('up', 95 * MIB, () => {
      killed = registry.kill();
    });
    const hasty = pair.transfers(pair.here, HASTY);
    const failed = await ended(hasty, hasty.push(image, `${way.host}/shop`, 'tester'));
    expect(failed.failure).toMatchObject({ code: 'registry.unreachable', retryable: true });
    expect(failed.progress.movedBlobs).toBeGreaterThan(0);
    expect(failed.progress.movedBlobs).toBeLessThan(failed.progress.blobs);
    await killed;

    await registry.again();
    expect(await registry.status('shop/manifests/1.0.0')).toBe(404);
    const again = await done(hasty, hasty.push(image, `${way.host}/shop`, 'tester'));
    // What the registry had taken whole, though it died before it could say so, is not sent again either.
    expect(again.progress.movedBlobs).toBeLessThanOrEqual(again.progress.blobs - failed.progress.movedBlobs);
    expect(again.progress.movedBlobs).toBeGreaterThan(0);
    const theirs = pair.transfers(pair.there);
    await done(theirs, theirs.pull(`${registry.host}/shop:1.0.0`, { actor: 'other' }));
    for (const layer of (await readManifest(pair.there.blobs, digestOf(image))).layers) {
      await pair.there.blobs.verify(layer.digest, NEVER);
    }
  });

  it('killed and started again while a push waits: it goes on by itself, and ends', async () => {
    const image = await pair.here.baked(await pair.source(6, 17 * MIB), { version: '1.0.0' });
    const restarted = Promise.withResolvers<void>();
    const way = await wayThat('up', 60 * MIB, () => {
      registry
        .kill()
        .then(() => registry.again())
        .then(restarted.resolve, restarted.reject);
    });
    const mine = pair.transfers(pair.here, { patienceMs: 60_000 });
    const push = await done(mine, mine.push(image, `${way.host}/shop`, 'tester'));
    await restarted.promise;
    expect(push.progress.movedBytes).toBeGreaterThan(push.progress.bytes);
    expect(push.progress.movedBytes).toBeLessThan(2 * push.progress.bytes);
    expect(await registry.status('shop/manifests/1.0.0')).toBe(200);
  });

  it('a way that breaks between the pieces of a large file: what has come there stays there', async () => {
    const image = await pair.here.baked(await pair.source(1, 150 * MIB), { version: '1.0.0' });
    let taken = 0;
    let cut = false;
    const way = await FlakyWay.to(registry.port, (direction, piece, own) => {
      if (direction === 'down' && /Range: 0-\d{8,}\r/i.test(piece.toString('latin1'))) taken += 1;
      if (direction === 'down' || taken < 2 || cut) return;
      cut = true;
      own.cut();
    });
    ways.push(way);
    const mine = pair.transfers(pair.here);
    const push = await done(mine, mine.push(image, `${way.host}/shop`, 'tester'));
    expect(cut).toBe(true);
    expect(push.progress.movedBytes).toBeLessThan(180 * MIB);
    const downWay = await wayThat('down', 90 * MIB, (own) => own.cut());
    const theirs = pair.transfers(pair.there);
    const pull = await done(theirs, theirs.pull(`${downWay.host}/shop:1.0.0`, { actor: 'other' }));
    expect(pull.progress.movedBytes).toBeLessThan(151 * MIB);
    for (const layer of (await readManifest(pair.there.blobs, digestOf(image))).layers) {
      await pair.there.blobs.verify(layer.digest, NEVER);
    }
  });

  it('killed in the middle of a pull: no image here; the next pull takes only what is missing', async () => {
    const image = await pushed(6, 17 * MIB);
    let killed: Promise<void> | undefined;
    const way = await wayThat('down', 60 * MIB, () => {
      killed = registry.kill();
    });
    const hasty = pair.transfers(pair.there, HASTY);
    const failed = await ended(hasty, hasty.pull(`${way.host}/shop:1.0.0`, { actor: 'other' }));
    expect(failed.failure).toMatchObject({ code: 'registry.unreachable' });
    await nothingClaimed();
    await killed;
    await registry.again();
    const again = await done(hasty, hasty.pull(`${registry.host}/shop:1.0.0`, { actor: 'other' }));
    expect(again.progress.movedBytes).toBeLessThan(again.progress.bytes);
    expect(again.outcome.image.id).toBe(image.id);
  });

  it('wrong bytes are refused both ways, and named', async () => {
    const image = await pushed(2, 17 * MIB);
    const { layers } = await readManifest(pair.here.blobs, digestOf(image));
    const layer = layers.find(({ sizeBytes }) => sizeBytes > MIB);
    await registry.damage(layer?.digest ?? '');
    const theirs = pair.transfers(pair.there);
    const pulled = await ended(theirs, theirs.pull(`${registry.host}/shop:1.0.0`, { actor: 'other' }));
    expect(pulled.failure).toMatchObject({ code: 'blob.damaged', details: { digest: layer?.digest } });
    await nothingClaimed();

    const file = await open(await pair.here.blobs.path(layer?.digest ?? digestOf(image)), 'r+');
    await file.write(Buffer.from('x'), 0, 1, 4096);
    await file.close();
    // Nothing is known to mount from, so the bytes are sent.
    const places = await KnownPlaces.open(path.join(pair.directory, 'no-places.json'));
    const mine = pair.transfers(pair.here, { places });
    const push = await ended(mine, mine.push(image, `${registry.host}/elsewhere`, 'tester'));
    expect(push.failure).toMatchObject({ code: 'blob.damaged', details: { digest: layer?.digest } });
    expect(await registry.status('elsewhere/manifests/1.0.0')).toBe(404);
    expect(await registry.status(`elsewhere/blobs/${layer?.digest}`)).toBe(404);
  });

  it('cancelled: ends at once, and leaves no image', async () => {
    await pushed(6, 17 * MIB);
    const theirs = pair.transfers(pair.there);
    const cancelled = Promise.withResolvers<string>();
    const way = await wayThat('down', 30 * MIB, () => void cancelled.promise.then((id) => theirs.cancel(id)));
    const begun = theirs.pull(`${way.host}/shop:1.0.0`, { actor: 'other' });
    cancelled.resolve(begun.id);
    expect((await ended(theirs, begun)).failure).toMatchObject({ code: 'aborted' });
    await nothingClaimed();
  });

  it('a disk that is full ends a pull without an image; with room it goes on', async (test) => {
    const image = await pushed(3, 17 * MIB);
    const disk = path.join(pair.there.state, 'blobs');
    spawnSync('mkdir', ['-p', disk]);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk], {
      encoding: 'utf8',
    });
    if (mounted.status !== 0) {
      if (process.env.CI === 'true') throw new Error(`A tmpfs cannot be mounted: ${mounted.stderr}`);
      test.skip(`a tmpfs cannot be mounted here (it takes root): ${mounted.stderr}`);
    }
    try {
      const theirs = pair.transfers(pair.there, { blobs: new FileBlobStore(disk) });
      const full = await ended(theirs, theirs.pull(`${registry.host}/shop:1.0.0`, { actor: 'other' }));
      expect(full.failure).toMatchObject({ code: 'disk.full' });
      await nothingClaimed();
      spawnSync('mount', ['-o', 'remount,size=200m', disk]);
      const pulled = await done(theirs, theirs.pull(`${registry.host}/shop:1.0.0`, { actor: 'other' }));
      expect(pulled.outcome.image.id).toBe(image.id);
    } finally {
      spawnSync('umount', ['--lazy', disk]);
    }
  });
});
