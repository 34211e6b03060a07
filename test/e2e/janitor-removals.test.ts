/** What swept images were kept as, at real providers: gone in the end, and kept in mind until then. */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { engineImageRemoval } from '../../src/bakery/container/engine-image-removal.ts';
import { amiRemoval } from '../../src/bakery/machine/amazon/ami-removal.ts';
import { Ec2, valuesIn } from '../../src/bakery/machine/amazon/ec2.ts';
import { Janitor } from '../../src/catalog/janitor.ts';
import { EngineClient } from '../../src/docker/engine-client.ts';
import { componentName } from '../../src/domain/ids.ts';
import type { Artifact, Image, ProviderArtifact } from '../../src/domain/image.ts';
import type { ArtifactRemoval } from '../../src/domain/ports/artifact-removal.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { DEFAULT_RETENTION } from '../../src/domain/retention.ts';
import { copyRemoval } from '../../src/registry/copy-removal.ts';
import { credentialsFromFile } from '../../src/registry/credentials.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { by, candidate, image, storefront } from '../contracts/store-samples.ts';
import { open, type StoreSubject, sqliteSubject } from '../contracts/store-subjects.ts';
import { DOCKER_SOCKET, dockerAnswers, NO_DOCKER } from '../docker.ts';
import { Moto, noMoto } from '../machine/moto.ts';
import { done, openPair, type Pair } from '../registry/pair.ts';
import { noRegistry, RegistryProcess } from '../registry/registry-process.ts';
import { NEVER } from './bake-fixture.ts';

const AT_ONCE = { ...DEFAULT_RETENTION, unusedMs: 0, noticeWorkingDays: 0, share: 1 };
const REGIONS = ['us-east-1', 'eu-west-1'] as const;

const subject: StoreSubject = sqliteSubject();
let store: Store;
beforeEach(async () => {
  store = await open(await subject.fresh());
});
afterEach(() => store.close());
afterAll(() => subject.close());

/** One run announces, the next sweeps. */
async function swept(removals: readonly ArtifactRemoval[], from = store) {
  const janitor = janitorOf(removals, from);
  await janitor.run({ actor: 'tester', dryRun: false }, NEVER);
  return janitor.run({ actor: 'tester', dryRun: false }, NEVER);
}

function janitorOf(removals: readonly ArtifactRemoval[], from = store): Janitor {
  return new Janitor({
    store: from,
    clock: systemClock,
    collectBlobs: async () => ({ blobs: 0, bytes: 0 }),
    removals,
    policy: AT_ONCE,
  });
}

/** Where nothing is needed at all, the janitor does nothing. */
async function keepOne(): Promise<void> {
  await store.images.create(image(99), by);
  await store.channels.move({ component: storefront, channel: candidate, image: image(99).id, why: 'x' }, by);
  await store.janitor.setEnabled(true, by);
  await store.janitor.noteUses(Date.now());
}

async function createImage(n: number, artifacts: readonly Artifact[]): Promise<Image> {
  return store.images.create({ ...image(n), artifacts }, by);
}

const missingMoto = noMoto();
describe.skipIf(missingMoto !== undefined)(`AMIs ${missingMoto ?? ''}`, () => {
  let moto: Moto;
  let ec2: Ec2;
  beforeEach(async () => {
    moto = await Moto.start();
    const access = { secrets: { aws_access_key: 'test', aws_secret_key: 'test' }, environment: {} };
    ec2 = new Ec2({ access, endpoint: moto.endpoint, clock: systemClock, fetch });
  });
  afterEach(() => moto.close());

  async function makeAmi(region: string): Promise<ProviderArtifact> {
    const run = { ImageId: 'ami-03cf127a', MinCount: '1', MaxCount: '1' };
    const [instance = ''] = valuesIn(await ec2.call(region, 'RunInstances', run, NEVER), 'instanceId');
    const wish = { InstanceId: instance, Name: `box-${randomUUID()}` };
    const [reference = ''] = valuesIn(await ec2.call(region, 'CreateImage', wish, NEVER), 'imageId');
    return { kind: 'machine', provider: 'amazon', region, arch: 'amd64', reference, sizeBytes: 1 };
  }

  async function left(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const region of REGIONS) {
      const own = { Owner: ['self'] };
      found.push(...valuesIn(await ec2.call(region, 'DescribeImages', own, NEVER), 'imageId'));
      const xml = await ec2.call(region, 'DescribeSnapshots', own, NEVER);
      found.push(...valuesIn(xml, 'snapshotId').filter((id) => !emulated.has(id)));
    }
    return found;
  }
  /** Snapshots that the emulator has from the beginning. */
  let emulated = new Set<string>();

  it('go with their snapshots from every region, wherever the removal is cut off', async () => {
    for (const region of REGIONS) {
      const xml = await ec2.call(region, 'DescribeSnapshots', { Owner: ['self'] }, NEVER);
      emulated = new Set([...emulated, ...valuesIn(xml, 'snapshotId')]);
    }
    const artifacts = [await makeAmi('us-east-1'), await makeAmi('eu-west-1')];
    const other = await makeAmi('us-east-1');
    expect((await left()).length).toBeGreaterThan(3);
    await createImage(1, artifacts);
    await keepOne();
    // Amazon is lost after each call in turn, as by a kill: the run after goes on from there.
    let calls = 0;
    for (let lostAfter = 1; ; lostAfter += 1) {
      calls = 0;
      const flaky = new Proxy(ec2, {
        get: (target, name) =>
          name !== 'call'
            ? Reflect.get(target, name)
            : async (...args: Parameters<Ec2['call']>) => {
                calls += 1;
                const answer = await target.call(...args);
                if (calls >= lostAfter) throw new Error('lost');
                return answer;
              },
      });
      const run = await (lostAfter === 1 ? swept([amiRemoval(flaky)]) : again([amiRemoval(flaky)]));
      expect(run.failures.every(({ why }) => why.includes('lost'))).toBe(true);
      if (run.artifactsLeft === 0) break;
      expect(await store.janitor.sweptArtifacts()).toHaveLength(run.artifactsLeft);
      expect(lostAfter).toBeLessThan(20);
    }
    expect(calls).toBeGreaterThan(0);
    expect(await store.janitor.sweptArtifacts()).toEqual([]);
    const rest = await left();
    expect(rest.filter((id) => id.startsWith('ami-'))).toEqual([other.reference]);
    expect(rest.filter((id) => id.startsWith('snap-'))).toHaveLength(1);
  });

  const again = (removals: readonly ArtifactRemoval[]) =>
    janitorOf(removals).run({ actor: 'tester', dryRun: false }, NEVER);

  it('stay, and are kept in mind, while Amazon does not answer or refuses', async () => {
    const artifact = await makeAmi('eu-west-1');
    await createImage(1, [artifact]);
    await keepOne();
    const access = { secrets: {}, environment: {} };
    const keyless = new Ec2({ access, endpoint: moto.endpoint, clock: systemClock, fetch });
    expect(await swept([amiRemoval(keyless)])).toMatchObject({
      swept: 1,
      artifactsLeft: 1,
      failures: [{ artifact: `amazon eu-west-1 ${artifact.reference}`, why: 'Kiln has no keys to Amazon.' }],
    });
    // Nothing can be made of what is about to go.
    await expect(createImage(2, [artifact])).rejects.toMatchObject({
      code: 'source.changed',
      retryable: true,
    });
    expect(await again([amiRemoval(ec2)])).toMatchObject({ artifactsLeft: 0, failures: [] });
    await createImage(2, [artifact]);
  });
});

const missingRegistry = noRegistry();
describe.skipIf(missingRegistry !== undefined)(`copies in a registry ${missingRegistry ?? ''}`, () => {
  let pair: Pair;
  let registry: RegistryProcess;
  beforeEach(async () => {
    pair = await openPair();
    registry = await RegistryProcess.start();
  });
  afterEach(async () => {
    await pair.close();
    await registry.remove();
  });

  it('go with their tags once the registry answers, and others of the repository stay whole', async () => {
    const { here, there } = pair;
    const source = await pair.source(1, 100_000);
    const first = await here.baked(source, { version: '1.0.0' });
    // The same bytes, under another version.
    const second = await here.baked(source, { version: '1.0.1' });
    const mine = pair.transfers(here);
    const to = `${registry.host}/team/shop`;
    for (const one of [first, second]) await done(mine, mine.push(one, to, 'tester'));
    await done(mine, mine.push(first, `${to}:stable`, 'tester'));
    const change = { actor: 'tester', atMs: Date.now() };
    await here.store.channels.move(
      { component: second.component, channel: candidate, image: second.id, why: 'x' },
      change,
    );
    await here.store.janitor.setEnabled(true, change);
    await here.store.janitor.noteUses(Date.now());
    const removal = copyRemoval({
      credentials: credentialsFromFile(`${pair.directory}/none.json`),
      plainHttp: [],
      clock: systemClock,
      random: () => 0.5,
      patienceMs: 300,
    });

    await registry.kill();
    const dead = await swept([removal], here.store);
    expect(dead).toMatchObject({ swept: 1, artifactsLeft: 1 });
    expect(dead.failures[0]?.why).toContain(registry.host);
    await registry.again();
    const run = await janitorOf([removal], here.store).run({ actor: 'tester', dryRun: false }, NEVER);
    expect(run).toMatchObject({ artifactsLeft: 0, failures: [] });
    expect(await registry.status('team/shop/manifests/1.0.0')).toBe(404);
    expect(await registry.status('team/shop/manifests/stable')).toBe(404);
    const theirs = pair.transfers(there);
    const pulled = await done(theirs, theirs.pull(`${to}:1.0.1`, { actor: 'other' }));
    expect(pulled.outcome.image.id).toBe(second.id);
  });
});

describe.skipIf(!dockerAnswers)(
  `images of the Docker engine${dockerAnswers ? '' : ` (${NO_DOCKER})`}`,
  () => {
    it('go with the last image of their component, and with the base that they were', async () => {
      const client = new EngineClient(DOCKER_SOCKET);
      const component = `swept-${randomUUID().slice(0, 8)}`;
      const sample = image(1);
      const [stored] = sample.artifacts;
      const digest = stored?.digest;
      const names = [`kiln-build-${component}:latest`, `kiln-base:${digest?.slice('sha256:'.length)}`];
      const there = async (name: string) =>
        client.send({ method: 'GET', path: `/images/${encodeURIComponent(name)}/json`, signal: NEVER }).then(
          () => true,
          () => false,
        );
      try {
        for (const name of names) {
          const [repo = '', tag = ''] = name.split(':');
          const body = emptyTar();
          await client.send({
            method: 'POST',
            path: '/images/create',
            query: { fromSrc: '-', repo, tag },
            body,
            signal: NEVER,
          });
          expect(await there(name)).toBe(true);
        }
        const named = { ...sample, component: componentName(component) };
        await store.images.create(
          { ...named, artifacts: sample.artifacts.map((one) => ({ ...one, kind: 'container' as const })) },
          by,
        );
        await keepOne();
        const hasImages = async (of: string) =>
          (await store.images.list({ component: componentName(of) }, { limit: 1 })).items.length > 0;
        const run = await swept([engineImageRemoval({ client, hasImages })]);
        expect(run).toMatchObject({ swept: 1, artifactsLeft: 0, failures: [] });
        for (const name of names) expect(await there(name)).toBe(false);
      } finally {
        client.close();
      }
    });
  },
);

/** Two empty blocks: the end of an archive. */
function emptyTar(): Readable {
  return Readable.from([Buffer.alloc(1024)]);
}
