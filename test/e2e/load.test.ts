/**
 * Not one request may fail while releases replace each other under load, on either router: many connections that
 * never pause, new ones all the time, and requests that are always in flight on what is to be stopped. Instances
 * are stopped by SIGKILL here, so that nothing but the drain protects a request.
 */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { bakeShop, type ShopWish } from './journey-shop.ts';
import { Kiln, type KilnOptions, startLoad, until } from './kiln.ts';

const HOST = 'shop.stage.localhost';
/** In all, over both routers, the requests are hundreds of thousands; a slow machine may stop sooner. */
const WANTED_REQUESTS = 120_000;
const BUDGET_MS = 30_000;
const LEAST_REQUESTS = 5_000;
const SLOW_MS = 400;
const BROKEN_SLOW_MS = 10_000;

const WISHES: readonly (ShopWish & { readonly version: string })[] = [
  { version: '1.0.0', text: 'first', strategy: 'blue-green', keepWarm: '0s' },
  { version: '2.0.0', text: 'second', strategy: 'blue-green', keepWarm: '0s' },
  { version: '3.0.0', text: 'third', strategy: 'rolling', keepWarm: '10m' },
];

let kiln: Kiln | undefined;
afterEach(async () => {
  await kiln?.destroy();
  kiln = undefined;
});

test('the built-in router: no request fails during deploys and rollback', () =>
  carriesAll({ router: 'built-in' }));

const hasHaproxy = isInstalled('haproxy');
const whyNot = hasHaproxy ? '' : ' (HAProxy is not installed: it comes with the Debian package haproxy)';
test.skipIf(!hasHaproxy && process.env.CI !== 'true')(
  `HAProxy: no request fails during deploys and rollback${whyNot}`,
  () => carriesAll({ router: 'haproxy' }),
);

test('with the drain broken on purpose requests fail, and the load shows it', async () => {
  const serverEntry = path.join(import.meta.dirname, 'load-broken-server.ts');
  const broken = await openShop({ serverEntry });
  // Long enough that what was in flight when traffic moved still is when the instances are stopped.
  const { failed } = await loadDuring(
    broken,
    async () => {
      await deploy(broken, '2.0.0');
      await onlyRelease(broken, 2);
    },
    BROKEN_SLOW_MS,
  );
  expect(failed).toBeGreaterThan(0);
});

async function carriesAll(options: KilnOptions): Promise<void> {
  const shop = await openShop(options);
  const { router } = JSON.parse(await (await shop.call('GET', '/api/v1/server')).text());
  expect(router.driver).toBe(options.router);
  const startedMs = Date.now();
  let requests = 0;
  let newest = 1;
  while (requests < WANTED_REQUESTS && Date.now() - startedMs < BUDGET_MS) {
    const report = await loadDuring(shop, async () => {
      newest += 1;
      await deploy(shop, '2.0.0');
      await onlyRelease(shop, newest);
      newest += 1;
      await deploy(shop, '3.0.0');
      await shop.json('rollback', 'shop', 'stage/local');
      newest += 1;
      await deploy(shop, '1.0.0');
    });
    expect(report.failures).toEqual({});
    expect(report.failed).toBe(0);
    expect(Object.keys(report.answers).sort()).toEqual(['1.0.0', '2.0.0', '3.0.0']);
    requests += report.requests;
  }
  expect(requests).toBeGreaterThan(LEAST_REQUESTS);
}

async function openShop(options: KilnOptions): Promise<Kiln> {
  kiln = await Kiln.create(options);
  await kiln.serve();
  for (const { version, ...wish } of WISHES) {
    await bakeShop(kiln, version, { ...wish, instances: 3, stopSignals: ['SIGKILL'] });
  }
  await deploy(kiln, '1.0.0');
  return kiln;
}

async function deploy(shop: Kiln, version: string): Promise<void> {
  await shop.json('deploy', `shop@${version}`, 'stage/local');
}

/** Until what was replaced is gone, since its going is what may hurt. */
async function onlyRelease(shop: Kiln, release: number): Promise<void> {
  await until(`only release ${release} runs`, async () => {
    const { items } = await shop.json<{ items: { groups: { release: number }[] }[] }>('status', 'shop');
    return items[0]?.groups.every((group) => group.release === release) ?? false;
  });
}

/** Quick requests without a pause, and slow ones of which some are in flight at any moment. */
async function loadDuring(
  shop: Kiln,
  work: () => Promise<void>,
  slowMs = SLOW_MS,
): Promise<{
  requests: number;
  failed: number;
  failures: object;
  answers: Readonly<Record<string, number>>;
}> {
  const address = await shop.routerAddress();
  const quick = await startLoad(address, HOST, { connections: 16, newPerSecond: 50 });
  const slow = await startLoad(address, HOST, {
    path: `/slow?ms=${slowMs}`,
    connections: 8,
    newPerSecond: 5,
  });
  await work();
  const [one, two] = await Promise.all([quick.stop(), slow.stop()]);
  return {
    requests: one.requests + two.requests,
    failed: one.failed + two.failed,
    failures: { ...one.failures, ...two.failures },
    answers: one.answers,
  };
}

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
