/** Following a base with a real store, killed at each of its calls in turn: the next server goes on, and nothing is done twice. */
import { expect, test } from 'vitest';
import { type Fixture, openFixture } from '../../test/http/app-fixture.ts';
import {
  type ChannelName,
  type ComponentName,
  channelName,
  componentName,
  type ImageId,
} from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';
import { systemClock } from '../server/system-clock.ts';
import { promote } from './promote.ts';
import type { RebakeCatalogue } from './rebake-view.ts';
import { Rebakes } from './rebakes.ts';

const GOLDEN = channelName('golden');
const CANDIDATE = channelName('candidate');
const by = { actor: 'ann', atMs: 1 };
const QUIET = { info: () => undefined, warn: () => undefined };

class Bakeries {
  readonly fixture: Fixture;
  readonly bakes: string[] = [];
  #count = 0;

  constructor(fixture: Fixture) {
    this.fixture = fixture;
  }

  async make(component: string, base: string | undefined, again?: Image): Promise<Image> {
    const { store } = this.fixture;
    this.#count += 1;
    const like = await this.#template();
    const [over = '', channel = ''] = base?.split('@') ?? [];
    const parent =
      base === undefined
        ? undefined
        : await store.channels.current(componentName(over), channelName(channel));
    const image = {
      ...like.definition.image,
      ...(base === undefined ? {} : { base, rebake: { promote: 'held' } as const }),
    };
    const { checks: _, parent: _parent, ...rest } = like;
    return store.images.create(
      {
        ...rest,
        id: `image-${component}-${this.#count}` as ImageId,
        component: componentName(component),
        version: `${this.#count}.0.0`,
        definition: { ...like.definition, component: componentName(component), image },
        source: { directory: '/src', server: 'here', host: 'test' },
        tags: {
          ...(base === undefined ? {} : { rebake: 'on-base-change' }),
          ...(again && { 'rebake-of': again.id }),
        },
        ...(parent === undefined ? {} : { parent: parent.image }),
        createdAtMs: this.#count,
      },
      by,
    );
  }

  async #template(): Promise<Image> {
    const found = await this.fixture.store.images.byVersion(componentName('storefront'), '0.0.1');
    return found ?? this.fixture.image('0.0.1');
  }

  async tested(image: Image): Promise<void> {
    const result = {
      id: 'c',
      kind: 'boot',
      where: 'bake/local',
      passed: true,
      passedCount: 1,
      failedCount: 0,
    };
    await this.fixture.store.images.recordCheck(image.id, { ...result, failures: [], atMs: 1 }, by);
  }

  async golden(
    component: string,
    base?: string,
    channels: readonly ChannelName[] = [GOLDEN],
  ): Promise<Image> {
    const made = await this.make(component, base);
    await this.tested(made);
    const image = (await this.fixture.store.images.get(made.id)) ?? made;
    for (const channel of channels)
      await promote(this.fixture.store, { component: image.component, image, channel, why: 'test' }, by);
    return image;
  }

  /** A server on this store; `killed`: every call of its from the n-th on fails, as if it were no more. */
  server(calls = Number.POSITIVE_INFINITY): { rebakes: Rebakes; killed: Promise<void> } {
    const killed = Promise.withResolvers<void>();
    let left = calls;
    const live = (): void => {
      left -= 1;
      if (left > 0) return;
      killed.resolve();
      throw new Error('killed');
    };
    const rebakes = new Rebakes({
      store: failing(this.fixture.store, live),
      clock: systemClock,
      log: QUIET,
      server: 'here',
      // As the bakery does: what stands on this base already is not baked again.
      bake: async (image) => {
        const { store } = this.fixture;
        const base = image.definition.image.base ?? '';
        const [over = '', channel = ''] = base.split('@');
        const head = await store.channels.current(componentName(over), channelName(channel));
        const { items } = await store.images.list({ component: image.component }, { limit: 50 });
        const there = items.find((one) => one.parent === head?.image);
        if (there !== undefined) return there;
        this.bakes.push(image.component);
        const made = await this.make(image.component, base, image);
        live();
        return made;
      },
      check: async (image) => {
        await this.tested(image);
        live();
      },
    });
    return { rebakes, killed: killed.promise };
  }

  async parentIn(component: string, channel = GOLDEN): Promise<ImageId | undefined> {
    const { store } = this.fixture;
    const move = await store.channels.current(componentName(component) as ComponentName, channel);
    return move && (await store.images.get(move.image))?.parent;
  }

  /** Nothing is left to do, or nobody waits for that any more. */
  async settled({ rebakes }: { rebakes: Rebakes }, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if ((await rebakes.status()).every(({ step }) => step.kind === 'held')) return;
      await systemClock.sleep(5, signal).catch(() => undefined);
    }
  }
}

/** Reads and writes alike fail once it is no more. */
function failing(store: RebakeCatalogue, live: () => void): RebakeCatalogue {
  const wrap = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          // Waiting for news is no call that could be lost.
          if (key !== 'waitAfter') live();
          return Reflect.apply(value, target, args);
        };
      },
    });
  const { images, catalogue, channels, channelPolicies, rebakes, events } = store;
  return {
    images: wrap(images),
    catalogue: wrap(catalogue),
    channels: wrap(channels),
    channelPolicies: wrap(channelPolicies),
    rebakes: wrap(rebakes),
    events: wrap(events),
  };
}

async function withFamily(work: (all: Bakeries) => Promise<void>): Promise<void> {
  const fixture = await openFixture();
  try {
    const all = new Bakeries(fixture);
    await all.golden('base');
    await all.golden('middle', 'base@golden');
    await all.golden('leaf', 'middle@golden', [CANDIDATE, GOLDEN]);
    await work(all);
  } finally {
    await fixture.close();
  }
}

/** Prime steps, so that together they fall on calls of every kind. */
test.each([2, 5, 11, 17, 23, 31, 41, 53, 67])(
  'killed at every %i-th call, it follows in the end, and bakes each once',
  async (step) => {
    await withFamily(async (all) => {
      const base = await all.golden('base');
      for (let calls = step; ; calls += step) {
        const server = all.server(calls);
        server.rebakes.start();
        const fresh = all.server();
        const waiting = new AbortController();
        const settled = all.settled(fresh, waiting.signal);
        await Promise.race([server.killed, settled]);
        await server.rebakes.close();
        waiting.abort();
        await settled;
        if ((await fresh.rebakes.status()).length === 0) break;
      }
      expect(all.bakes).toEqual(['middle', 'leaf']);
      expect(await all.parentIn('middle')).toBe(base.id);
      const { store } = all.fixture;
      const middle = await store.channels.current(componentName('middle'), GOLDEN);
      for (const channel of [GOLDEN, CANDIDATE])
        expect(await all.parentIn('leaf', channel)).toBe(middle?.image);
      const history = await store.channels.history(componentName('leaf'), GOLDEN);
      expect(history).toHaveLength(2);
      expect(history[0]).toMatchObject({ by: 'rebake', why: 'baked again: middle@golden has moved on' });
    });
  },
);

test('what a person takes back stays back; a demand of the channel is waited for, and met by a person', async () => {
  await withFamily(async (all) => {
    const { store } = all.fixture;
    const [middle, leaf] = [componentName('middle'), componentName('leaf')];
    await store.channelPolicies.set(leaf, GOLDEN, { checks: [], approvals: 1 }, by);
    const before = await store.channels.current(middle, GOLDEN);
    const server = all.server();
    server.rebakes.start();
    await all.golden('base');
    await expect
      .poll(async () => (await server.rebakes.status()).map(({ step }) => step.kind))
      .toEqual(['held']);
    const [waiting] = await server.rebakes.status();
    expect(waiting?.step).toMatchObject({
      unmet: new Map([[GOLDEN, ['0 of 1 approvals by others than rebake are there']]]),
    });
    const made = waiting?.made;
    if (made === undefined) throw new Error('it was baked');
    await store.channelPolicies.approve(leaf, GOLDEN, made.id, 'looks good', by);
    await expect.poll(async () => (await store.channels.current(leaf, GOLDEN))?.image).toBe(made.id);

    const old = before && (await store.images.get(before.image));
    if (old === undefined) throw new Error('it was there');
    await promote(
      store,
      { component: middle, image: old, channel: GOLDEN, why: 'slow' },
      { actor: 'bob', atMs: Date.now() },
    );
    await expect
      .poll(async () => (await server.rebakes.status()).find(({ image }) => image.id === old.id)?.step)
      .toMatchObject({ kind: 'held', unmet: new Map([[GOLDEN, ['bob took it back: slow']]]) });
    expect((await store.channels.current(middle, GOLDEN))?.image).toBe(old.id);
    await server.rebakes.close();
  });
});

test('what stood in the way and may have gone is tried again after a while; what is wrong is not', async () => {
  await withFamily(async (all) => {
    const { store } = all.fixture;
    const base = await all.golden('base');
    const middle = await store.channels.current(componentName('middle'), GOLDEN);
    if (middle === undefined) throw new Error('it was promoted');
    const key = { image: middle.image, onto: base.id };
    const outcome = { kind: 'failed', code: 'target.unavailable', message: 'no engine' } as const;
    const kinds = async (atMs: number, more: { readonly retryable?: true }) => {
      await store.rebakes.record({ ...key, outcome: { ...outcome, ...more } }, { actor: 'rebake', atMs });
      return (await all.server().rebakes.status()).map(({ step }) => step.kind);
    };
    const longAgo = Date.now() - 3_600_000;
    expect(await kinds(longAgo, {})).toEqual(['waits', 'failed']);
    expect(await kinds(Date.now(), { retryable: true })).toEqual(['waits', 'failed']);
    expect(await kinds(longAgo, { retryable: true })).toEqual(['waits', 'bakes']);
  });
});
