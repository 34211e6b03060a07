/** The janitor over the days of a month, on a real store with a clock of the test's own. */
import { afterAll, beforeEach, expect, it } from 'vitest';
import { Janitor, type JanitorRun } from '../../src/catalog/janitor.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { DEFAULT_RETENTION } from '../../src/domain/retention.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { by, candidate, group, image, own, release, storefront } from '../contracts/store-samples.ts';
import { open, type StoreSubject, sqliteSubject } from '../contracts/store-subjects.ts';

const DAY_MS = 24 * 3600_000;
const IMAGES = 21;
const subject: StoreSubject = sqliteSubject();
let store: Store;
let nowMs: number;
let janitor: Janitor;

beforeEach(async () => {
  store = await open(await subject.fresh());
  nowMs = Date.parse('2026-11-20T10:00:00Z'); // A Friday.
  janitor = new Janitor({
    store,
    clock: { ...systemClock, now: () => nowMs },
    collectBlobs: async () => ({ blobs: 0, bytes: 0 }),
    removals: [],
    policy: { ...DEFAULT_RETENTION, share: 0.2 },
  });
  for (let n = 1; n <= IMAGES; n += 1) {
    await store.images.create({ ...image(n), createdAtMs: nowMs - 46 * DAY_MS }, by);
  }
  await store.channels.move({ component: storefront, channel: candidate, image: image(1).id, why: 'x' }, by);
});
afterAll(() => subject.close());

/** As the server does it: looks what runs, then runs. */
async function runAt(day: string): Promise<JanitorRun> {
  nowMs = Date.parse(`${day}T10:00:00Z`);
  await store.janitor.noteUses(nowMs);
  return janitor.run({ actor: 'janitor', dryRun: false }, new AbortController().signal);
}

it('announces a share, waits three working days, sweeps a share, and keeps what was restored or used', async () => {
  // Until it is enabled it only says what it would do.
  expect(await runAt('2026-11-20')).toMatchObject({ dryRun: true, announced: 4 });
  expect((await janitor.explain(image(21).id)).announcedAtMs).toBeUndefined();
  await store.janitor.setEnabled(true, by);

  expect(await runAt('2026-11-20')).toMatchObject({ announced: 4, swept: 0, waiting: 16 });
  const explained = await janitor.explain(image(21).id);
  expect(new Date(explained.sweepAfterMs ?? 0).toISOString()).toBe('2026-11-25T10:00:00.000Z');
  expect(await janitor.explain(image(1).id)).toMatchObject({ kept: 'channel' });
  // Saturday to Tuesday: others are announced, nothing goes.
  for (const day of ['2026-11-21', '2026-11-24']) {
    expect(await runAt(day)).toMatchObject({ announced: 4, swept: 0 });
  }
  await store.janitor.restore(image(21).id, { actor: 'alice', atMs: nowMs });
  await store.releases.create({ ...release(), image: image(20).id }, by);
  const fence = await own(store);
  await store.services.putGroup(group(1), fence, { actor: 'owner', atMs: nowMs });
  expect((await janitor.explain(image(20).id)).kept).toBe('group');

  // The two that are left of Friday, and of Saturday's as many as the share allows.
  expect(await runAt('2026-11-25')).toMatchObject({ swept: 4, reprieved: 1, spared: 0 });
  const left = (await store.images.list({}, { limit: 100 })).items.map((one) => one.id);
  expect(left).toHaveLength(IMAGES - 4);
  expect(left).toEqual(expect.arrayContaining([image(21).id, image(20).id]));
  expect((await janitor.explain(image(21).id)).kept).toBe('young');
  expect(await runAt('2026-11-26')).toMatchObject({ swept: 2 });
  // Tuesday's are due on Friday.
  expect(await runAt('2026-11-27')).toMatchObject({ swept: 3 });
  await store.close();
});

it('does nothing while nobody looked what runs, or when what is needed has all but vanished', async () => {
  await store.janitor.setEnabled(true, by);
  const refused = async () => {
    const run = await janitor.run({ actor: 'janitor', dryRun: false }, new AbortController().signal);
    expect(run).toMatchObject({ announced: 0, swept: 0 });
    return run.refused;
  };
  await store.janitor.noteUses(nowMs - 25 * 3600_000);
  expect(await refused()).toMatch(/stale/);
  await store.janitor.noteUses(nowMs);
  await store.janitor.finishRun(40, nowMs);
  expect(await refused()).toMatch(/only 1 references are left of 40/);
  expect((await store.images.list({}, { limit: 100 })).items).toHaveLength(IMAGES);
  await store.close();
});
