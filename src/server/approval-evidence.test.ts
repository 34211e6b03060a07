/** What an approval shows, over small collaborators: each may fail, be slow, or know nothing. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { candidate, check, image, liveUk, release, storefront } from '../../test/contracts/store-samples.ts';
import { releaseEvidence } from '../api/release-evidence.ts';
import type { ConfigSpec } from '../domain/component.ts';
import { KilnError } from '../domain/errors.ts';
import type { Image } from '../domain/image.ts';
import type { Release } from '../domain/release.ts';
import { ApprovalEvidence, type ApprovalEvidenceParts } from './approval-evidence.ts';
import { systemClock } from './system-clock.ts';

interface World {
  /** Its newest one is what is asked about. */
  readonly images?: readonly Image[];
  readonly serving?: Release;
  readonly stopped?: boolean;
  /** What fails, by the name of what is called. */
  readonly broken?: ReadonlySet<string>;
  readonly clock?: ApprovalEvidenceParts['clock'];
  readonly changes?: (signal: AbortSignal) => Promise<readonly { path: string; change: 'content' }[]>;
}

function imageOf(n: number, config: Partial<ConfigSpec> = {}, more: Partial<Image> = {}): Image {
  const { definition, ...rest } = image(n);
  const defaults = { ...definition.defaults, config: { ...definition.defaults.config, ...config } };
  return { ...rest, definition: { ...definition, defaults }, checks: [], ...more };
}

const FORMER: Release = { ...release(), number: 3, createdAtMs: 1, createdBy: 'alice' };
const NOTHING_BROKEN: ReadonlySet<string> = new Set();

function evidenceOf(world: World) {
  const { images = [imageOf(1), imageOf(2)], serving, stopped = false, broken = NOTHING_BROKEN } = world;
  const works = <Value>(name: string, value: Value): Promise<Value> =>
    broken.has(name)
      ? Promise.reject(new KilnError('store.busy', `${name} is broken`))
      : Promise.resolve(value);
  const acts: string[] = [];
  const warned: string[] = [];
  const parts = {
    store: {
      images: {
        get: (id: string) =>
          works(
            'images.get',
            images.find((one) => one.id === id),
          ),
        byVersion: async (_: string, version: string) => images.find((one) => one.version === version),
        list: async () => {
          acts.push('list');
          return { items: images };
        },
      },
      channels: {
        list: () => works('channels.list', [{ channel: candidate, image: images.at(-1)?.id }]),
        history: () => works('channels.history', []),
      },
      services: {
        get: () =>
          works('services.get', serving && { component: storefront, serving: serving.number, stopped }),
      },
      releases: { get: () => works('releases.get', serving) },
    },
    insides: {
      imageFiles: {
        changes: async (_from: string, _to: string, signal: AbortSignal) => {
          acts.push('changes');
          await works('changes', undefined);
          return world.changes?.(signal) ?? [{ path: 'app/server.js', change: 'content' }];
        },
      },
      sboms: {
        openable: (one: Image) => works('openable', one.artifacts[0]),
        of: () => works('sbom', '{"components": []}'),
      },
    },
    verdict: () => works('verdict', { passed: true, blocking: [], waived: [], noted: [] }),
    clock: world.clock ?? systemClock,
    log: { warn: (_: object, message: string) => void warned.push(message) },
  };
  // Only what is called is there.
  const evidence = new ApprovalEvidence(parts as unknown as ApprovalEvidenceParts);
  return { evidence, acts, warned };
}

async function look(world: World, asked: string = imageOf(2).id, where: string = liveUk) {
  const { evidence } = evidenceOf(world);
  const [found] = await evidence.of([asked], [where]);
  await evidence.close();
  return found;
}

test('names what changes against what serves there: files, keys without values, settings, checks', async () => {
  const config = { values: { greeting: 'a secret', colour: 'another one' } };
  const images = [imageOf(1), imageOf(2, config, { checks: [check(false, 'stage/uk')] })];
  const serving = { ...FORMER, settings: { ...FORMER.settings, target: 'docker' } };
  const found = await look({ images, serving });
  expect(found).toMatchObject({
    known: true,
    image: { id: 'storefront-2', version: '1.0.2' },
    channels: ['candidate'],
    replaces: {
      kind: 'release',
      environment: 'live/uk',
      number: 3,
      image: 'storefront-1',
      version: '1.0.1',
      stopped: false,
    },
    refused: expect.stringContaining('live/uk takes only images of the channel proven'),
    inside: { known: true, files: { count: 1, items: [{ path: 'app/server.js', change: 'content' }] } },
    config: { known: true, added: ['colour'], removed: [], changed: ['greeting'] },
    settings: { known: true, items: [{ key: 'target', from: 'docker', to: 'local' }] },
    checks: [{ kind: 'smoke', where: 'stage/uk', passed: false, failures: ['GET / was 503'] }],
    scan: { known: true, scanned: false },
  });
  expect(JSON.stringify(found)).not.toMatch(/secret|another one|Grüße/);
});

test('a first release says so, and so do an approval without an environment, and a service that is stopped', async () => {
  const first = await look({ images: [imageOf(2, { values: { greeting: 'x' } })] });
  expect(first).toMatchObject({
    replaces: { kind: 'nothing', environment: 'live/uk' },
    config: { added: ['greeting'] },
  });
  expect(first).not.toHaveProperty('inside');
  const both = await evidenceOf({ serving: FORMER }).evidence.of([imageOf(2).id], [liveUk, 'live/us']);
  expect(both).toMatchObject([
    { replaces: { kind: 'release', environment: 'live/uk' } },
    { asked: { environment: 'live/us' } },
  ]);
  const [unasked] = await evidenceOf({}).evidence.of([imageOf(2).id], []);
  expect(unasked).toMatchObject({ known: true, replaces: { kind: 'unasked' } });
  expect(unasked).not.toHaveProperty('config');
  expect(await look({ serving: FORMER, stopped: true })).toMatchObject({ replaces: { stopped: true } });
});

test('what would fail is evidence: a missing key, a swept image, no such image, no such environment', async () => {
  const lacking = [imageOf(1), imageOf(2, { required: ['db_url'] })];
  expect(await look({ images: lacking, serving: FORMER })).toMatchObject({
    known: true,
    refused: expect.stringContaining('proven'),
    config: { known: false, why: expect.stringContaining('"db_url"') },
  });
  expect(await look({ images: lacking }, imageOf(2).id, 'stage/uk')).toMatchObject({
    refused: expect.stringContaining('"db_url"'),
  });
  expect(await look({ images: [imageOf(2)], serving: FORMER })).toMatchObject({
    replaces: { kind: 'release', number: 3 },
    inside: { known: false, why: expect.stringContaining('swept') },
    config: { known: true, removed: ['greeting'] },
  });
  expect(await look({}, 'storefront@9')).toMatchObject({
    asked: { image: 'storefront@9', environment: 'live/uk' },
    known: false,
    why: 'There is no image storefront@9.',
  });
  expect(await look({}, imageOf(2).id, 'nowhere')).toMatchObject({ known: false });
});

const CALLS = [
  ...['images.get', 'channels.list', 'channels.history', 'services.get', 'releases.get'],
  ...['changes', 'openable', 'sbom', 'verdict'],
];

test('whatever is broken, each image has an answer that keeps to the contract, and none is empty', async () => {
  const scanned = [imageOf(1), imageOf(2, {}, { checks: [{ ...check(true), kind: 'scan' }] })];
  await fc.assert(
    fc.asyncProperty(fc.subarray(CALLS), fc.boolean(), async (names, isThere) => {
      const broken = new Set(names);
      const serving = isThere ? { serving: FORMER } : {};
      const found = await look({ broken, images: scanned, ...serving });
      expect(releaseEvidence.safeParse(found).error).toBeUndefined();
      const text = JSON.stringify(found);
      if (found?.known !== true) {
        expect(found?.why).toMatch(/is broken/);
        return;
      }
      // Nothing that was asked for in vain looks like nothing found.
      const isAsked = (name: string) => name === 'verdict' || isThere;
      for (const name of ['openable', 'verdict'])
        expect(text.includes(`${name} is broken`)).toBe(broken.has(name) && isAsked(name));
      expect(found.scan.known).toBe(!broken.has('verdict'));
    }),
    { numRuns: 60 },
  );
});

test('two images are compared once, however often somebody looks; a name that leads nowhere is sought once', async () => {
  const { evidence, acts } = evidenceOf({ serving: FORMER });
  for (let round = 0; round < 5; round += 1) await evidence.of([imageOf(2).id, imageOf(2).id], [liveUk]);
  expect(acts).toEqual(['changes']);
  const train = await evidence.of(new Array(300).fill(imageOf(2).id), [liveUk]);
  expect(new Set(train.map(({ known }) => known))).toEqual(new Set([true, false]));
  expect(acts).toEqual(['changes']);
  for (let round = 0; round < 5; round += 1) await evidence.of(['nothing-like-it'], [liveUk]);
  expect(acts.filter((act) => act === 'list').length).toBeLessThanOrEqual(2);
});

test('what takes long says so at once, goes on, and is there at a later look', async () => {
  const compared = Promise.withResolvers<readonly { path: string; change: 'content' }[]>();
  // Every limit passes at once.
  const clock = { ...systemClock, sleep: () => new Promise<void>((resolve) => setTimeout(resolve, 20)) };
  const { evidence, acts } = evidenceOf({ serving: FORMER, clock, changes: () => compared.promise });
  const [early] = await evidence.of([imageOf(2).id], [liveUk]);
  expect(early).toMatchObject({ known: false, why: expect.stringContaining('look again') });
  compared.resolve([{ path: 'late.js', change: 'content' }]);
  await compared.promise;
  const [later] = await evidence.of([imageOf(2).id], [liveUk]);
  expect(later).toMatchObject({ inside: { known: true, files: { items: [{ path: 'late.js' }] } } });
  expect(acts).toEqual(['changes']);
  await evidence.close();
});

test('a bug is told to the log, and a comparison ends when the server does', async () => {
  const buggy = evidenceOf({ serving: FORMER, changes: () => Promise.reject(new Error('a bug')) });
  const [found] = await buggy.evidence.of([imageOf(2).id], [liveUk]);
  expect(found).toMatchObject({ inside: { known: false, why: expect.stringContaining('the log') } });
  expect(buggy.warned).toHaveLength(1);

  const untilAborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const endless = evidenceOf({ serving: FORMER, changes: untilAborted });
  const looking = endless.evidence.of([imageOf(2).id], [liveUk]);
  await expect.poll(() => endless.acts).toEqual(['changes']);
  await endless.evidence.close();
  expect(await looking).toMatchObject([{ inside: { known: false, why: 'The server is stopping.' } }]);
});
