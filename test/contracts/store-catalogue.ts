/** Searches, against a plain filter over all images that answers the same question. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { channelName, componentName, type ImageId } from '../../src/domain/ids.ts';
import { type Artifact, asTested, type Image, imageState } from '../../src/domain/image.ts';
import { ANY_VALUE, ARTIFACT_FIELDS, type Condition, type ImageQuery } from '../../src/domain/image-query.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { compareVersions } from '../../src/domain/version-order.ts';
import { by, check, digestOf, image } from './store-samples.ts';
import type { StoreUnderTest } from './store-subjects.ts';

const web = componentName('web');
const base = componentName('base');
const golden = channelName('golden');
const VERSIONS = ['1.9', '1.10', '1.4.0-rc.1', '1.4', '2.0', '2.0-7-gabcdef0', '0.1', '10.0'];
const ALL: ImageQuery = { conditions: [], versions: [], order: 'newest' };

type NewImage = Omit<Image, 'checks' | 'revoked'>;

function sample(n: number, component = n % 3 === 0 ? base : web): NewImage {
  const kept = { kind: 'bundle', provider: 'local', arch: n % 2 === 0 ? 'amd64' : 'arm64' } as const;
  const machines: Artifact[] = ['us-east-1', 'eu-west-1'].map((region, at) => ({
    kind: 'machine',
    provider: 'amazon',
    region,
    arch: (n + at) % 2 === 0 ? 'amd64' : 'arm64',
    reference: `ami-${n}-${at}`,
    sizeBytes: 1,
  }));
  return {
    ...image(n, component),
    version: `${VERSIONS[n % VERSIONS.length]}${n < VERSIONS.length ? '' : `.${n}`}`,
    tags: {
      env: n % 4 === 0 ? 'stage' : 'live',
      [`shard${n % 5}`]: 'yes',
      ...(n % 7 === 0 ? { owner: 'a b' } : {}),
    },
    artifacts: [{ ...kept, digest: digestOf(1000 + n), sizeBytes: 1 }, ...(n % 2 === 0 ? machines : [])],
  };
}

async function fill(store: Store, count: number): Promise<readonly NewImage[]> {
  const made: NewImage[] = [];
  for (let n = 1; n <= count; n += 1) {
    const parent = made.find((one) => one.component === base);
    const one = sample(n);
    const child =
      one.component === web && parent !== undefined && n > 9
        ? { ...one, parent: parent.id, definition: withBase(one, 'base@golden') }
        : one;
    made.push(await store.images.create(child, by));
    if (n % 2 === 0) await store.images.recordCheck(one.id, check(n % 4 === 0), by);
  }
  return made;
}

function withBase(one: NewImage, of: string): Image['definition'] {
  return { ...one.definition, image: { ...one.definition.image, base: of } };
}

async function found(store: Store, query: Partial<ImageQuery>): Promise<readonly ImageId[]> {
  return (await store.catalogue.search({ ...ALL, ...query }, { limit: 1000 })).items.map((one) => one.id);
}

const field = (name: string, ...values: string[]): Condition =>
  ({ on: 'field', field: name, values, negated: false }) as Condition;

function holds(one: Image, condition: Condition): boolean {
  const has = (value: string | undefined): boolean =>
    value !== undefined && condition.values.some((wanted) => wanted === ANY_VALUE || wanted === value);
  const met = (() => {
    if (condition.on === 'tag') return has(one.tags[condition.key]);
    if (condition.on === 'artifact') return one.artifacts.some((form) => has(form[condition.field]));
    if (condition.field === 'tested') return has(String(asTested(one) !== undefined));
    if (condition.field === 'failed') return has(String(imageState(one) === 'failed'));
    if (condition.field === 'component') return has(one.component);
    if (condition.field === 'version')
      return condition.values.some((v) => compareVersions(v, one.version) === 0);
    if (condition.field === 'digest') return one.artifacts.some((form) => has(form.digest));
    if (condition.field === 'parent') return has(one.parent);
    if (condition.field === 'id') return has(one.id);
    throw new Error(`the plain filter does not know ${condition.field}`);
  })();
  return met !== condition.negated;
}

/** Positive conditions on artifacts are met by one artifact together. */
function plainly(images: readonly Image[], query: ImageQuery): readonly ImageId[] {
  const together = query.conditions.filter((one) => one.on === 'artifact' && !one.negated);
  const fits = images.filter(
    (one) =>
      query.conditions.every((condition) => holds(one, condition)) &&
      one.artifacts.some((form) =>
        together.every((condition) => holds({ ...one, artifacts: [form] }, condition)),
      ) &&
      query.versions.every(({ operator, version }) => {
        const order = compareVersions(one.version, version);
        return operator === '>'
          ? order > 0
          : operator === '>='
            ? order >= 0
            : operator === '<'
              ? order < 0
              : order <= 0;
      }),
  );
  const byVersion = (a: Image, b: Image): number =>
    compareVersions(a.version, b.version) || images.indexOf(a) - images.indexOf(b);
  const isByVersion = query.versions.length > 0 || query.order.endsWith('version');
  const sorted = isByVersion ? fits.toSorted(byVersion) : fits;
  const upwards = query.order === 'version' || query.order === 'oldest';
  return (upwards ? sorted : sorted.toReversed()).map((one) => one.id);
}

const values = (...all: string[]) => fc.uniqueArray(fc.constantFrom(...all), { minLength: 1, maxLength: 2 });
const conditions = fc.oneof(
  fc
    .tuple(values('stage', 'live', 'test', ANY_VALUE), fc.constantFrom('env', 'shard1', 'shard2'))
    .map(([all, key]): Partial<Condition> => ({ on: 'tag', key, values: key === 'env' ? all : ['yes'] })),
  values('a b', 'c', ANY_VALUE).map((all): Partial<Condition> => ({ on: 'tag', key: 'owner', values: all })),
  values('web', 'base', 'none').map(
    (all): Partial<Condition> => ({ on: 'field', field: 'component', values: all }),
  ),
  values('1.4.0', '2.0', '10', '7').map(
    (all): Partial<Condition> => ({ on: 'field', field: 'version', values: all }),
  ),
  values('true', 'false').map((all): Partial<Condition> => ({ on: 'field', field: 'tested', values: all })),
  values('true', 'false').map((all): Partial<Condition> => ({ on: 'field', field: 'failed', values: all })),
  values('base-3', 'web-4').map((all): Partial<Condition> => ({ on: 'field', field: 'parent', values: all })),
  values(digestOf(1004), digestOf(1)).map(
    (all): Partial<Condition> => ({ on: 'field', field: 'digest', values: all }),
  ),
  fc
    .tuple(
      fc.constantFrom(...ARTIFACT_FIELDS),
      values('machine', 'amd64', 'arm64', 'us-east-1', 'local', ANY_VALUE),
    )
    .map(([name, all]): Partial<Condition> => ({ on: 'artifact', field: name, values: all })),
);
const condition = fc
  .tuple(conditions, fc.boolean())
  .map(([one, negated]): Condition => ({ ...one, negated }) as Condition);
const plainQuery = fc.record({
  conditions: fc.array(condition, { maxLength: 4 }),
  versions: fc.constant<ImageQuery['versions']>([]),
  order: fc.constantFrom<ImageQuery['order']>('newest', 'oldest'),
});
const bound = fc.record({
  operator: fc.constantFrom<'>' | '>=' | '<' | '<='>('>', '>=', '<', '<='),
  version: fc.constantFrom('1.4', '1.9', '2.0', '2.0.22', '10', '0'),
});
const versionQuery = fc.record({
  conditions: fc
    .array(condition, { maxLength: 2 })
    .map((all) => [
      field('component', 'web'),
      ...all.filter((one) => one.on !== 'field' || one.field !== 'component'),
    ]),
  versions: fc.array(bound, { maxLength: 2 }),
  order: fc.constantFrom<ImageQuery['order']>('version', '-version'),
});

export function catalogueContract(underTest: () => StoreUnderTest): void {
  it('finds what a plain filter over all images finds, in the same order, however it is paged', async () => {
    const { store } = underTest();
    await fill(store, 40);
    const all = (await store.images.list({}, { limit: 1000 })).items.toReversed();
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(plainQuery, versionQuery),
        fc.integer({ min: 1, max: 12 }),
        async (query, size) => {
          const expected = plainly(all, query);
          const seen: ImageId[] = [];
          let cursor: string | undefined;
          do {
            const page = await store.catalogue.search(query, {
              limit: size,
              ...(cursor === undefined ? {} : { cursor }),
            });
            expect(page.items.length).toBeLessThanOrEqual(size);
            seen.push(...page.items.map((one) => one.id));
            cursor = page.cursor;
          } while (cursor !== undefined);
          expect(seen).toEqual(expected);
        },
      ),
      // Each page is a round trip there.
      { numRuns: underTest().settings.kind === 'sqlite' ? 120 : 25 },
    );
  });

  it.each(['newest', '-version'] as const)(
    'pages by %s without a shift while images are added',
    async (order) => {
      const { store } = underTest();
      const versions = Array.from({ length: 6 }, (_, n) => `1.${n}.0`);
      const create = (n: number, version: string) => store.images.create({ ...image(n, web), version }, by);
      for (const [n, version] of versions.entries()) await create(n + 1, version);
      const query: ImageQuery = { ...ALL, conditions: [field('component', 'web')], order };
      const first = await store.catalogue.search(query, { limit: 2 });
      await create(50, '1.4.5');
      await create(51, '9.0.0');
      const rest = await store.catalogue.search(query, {
        limit: 10,
        ...(first.cursor ? { cursor: first.cursor } : {}),
      });
      expect([...first.items, ...rest.items].map((one) => one.version)).toEqual(versions.toReversed());
      expect(rest).not.toHaveProperty('cursor');
      const limited = await store.catalogue.search({ ...query, limit: 1 }, { limit: 10 });
      expect(limited.items).toHaveLength(1);
      expect(limited).not.toHaveProperty('cursor');
      await expect(store.catalogue.search(query, { limit: 2, cursor: 'nonsense' })).rejects.toMatchObject({
        code: 'input.invalid',
      });
    },
  );

  it('keeps hundreds of versions of one component in order, whatever the order they came in', async () => {
    const { store } = underTest();
    const count = underTest().settings.kind === 'sqlite' ? 600 : 30;
    const numbers = Array.from({ length: count }, (_, n) => (n * 7919) % count);
    for (const n of numbers) await store.images.create({ ...image(n, web), version: `1.${n}` }, by);
    const conditions = [field('component', 'web')];
    const top = await found(store, { conditions, order: '-version', limit: 3 });
    expect(top).toEqual([count - 1, count - 2, count - 3].map((n) => image(n, web).id));
    const range = await found(store, {
      conditions,
      order: 'version',
      versions: [
        { operator: '>=', version: '1.10' },
        { operator: '<', version: '1.20' },
      ],
    });
    expect(range).toEqual(Array.from({ length: 10 }, (_, n) => image(n + 10, web).id));
  });

  it('knows what channels hold, and what became outdated when a base moved on, back again too', async () => {
    const { store } = underTest();
    const [first, second] = [image(1, base), image(2, base)];
    for (const one of [first, second]) await store.images.create(one, by);
    const move = (to: NewImage, previous?: NewImage) =>
      store.channels.move(
        {
          component: to.component,
          channel: golden,
          image: to.id,
          why: 'x',
          ...(previous ? { previous: previous.id } : {}),
        },
        by,
      );
    const bake = (n: number, component: typeof web, parent: NewImage) => {
      const one = image(n, component);
      const of = `${parent.component}@golden`;
      return store.images.create({ ...one, parent: parent.id, definition: withBase(one, of) }, by);
    };
    await move(first);
    const runtime = await bake(3, componentName('runtime'), first);
    await move(runtime);
    const app = await bake(4, web, runtime);
    const outdated = () => found(store, { conditions: [field('outdated', 'true')] });
    expect(await outdated()).toEqual([]);
    expect(await found(store, { conditions: [field('channel', 'golden')] })).toEqual([runtime.id, first.id]);
    await move(second, first);
    expect(await outdated()).toEqual([app.id, runtime.id]);
    expect(
      await found(store, { conditions: [field('component', 'base'), field('channel', 'golden')] }),
    ).toEqual([second.id]);
    const late = await bake(5, web, runtime);
    expect(await outdated()).toEqual([late.id, app.id, runtime.id]);
    expect(await found(store, { conditions: [field('parent', runtime.id)] })).toEqual([late.id, app.id]);
    await move(first, second);
    expect(await outdated()).toEqual([]);
    expect(await found(store, { conditions: [field('outdated', 'false')] })).toHaveLength(5);
    expect(await found(store, { conditions: [field('base', 'runtime@golden')] })).toEqual([late.id, app.id]);
  });
}
