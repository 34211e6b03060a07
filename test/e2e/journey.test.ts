/** A newcomer's way: from a folder to live traffic, on to the next release, and back. */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bakeShop, type ShopWish } from './journey-shop.ts';
import { Kiln, processesOf, startLoad, until } from './kiln.ts';

let kiln: Kiln;
beforeAll(async () => {
  kiln = await Kiln.create();
  await kiln.serve();
});
afterAll(() => kiln.destroy());

interface Up {
  readonly changed: boolean;
  readonly services: readonly { readonly environment: string; readonly urls: readonly string[] }[];
}

interface Status {
  readonly items: readonly {
    readonly verdict: string;
    readonly serving?: { readonly release: number; readonly version: string };
    readonly groups: readonly {
      readonly name: string;
      readonly weight: number;
      readonly release: number;
      readonly process: string;
      readonly instances: readonly { readonly id: string; readonly ready: boolean }[];
    }[];
  }[];
}

describe('kiln up on the storefront', () => {
  let app: string;
  beforeAll(async () => {
    app = await kiln.example('storefront');
  });

  test('brings it to live traffic, where both its addresses answer', async () => {
    const up = await kiln.json<Up>('up', app);
    expect(up.services.map((one) => one.environment)).toEqual(['stage/local', 'live/local']);
    for (const { urls } of up.services) {
      const page = await kiln.ask(new URL(urls[0] ?? '').hostname);
      expect(page).toMatchObject({ status: 200, body: expect.stringContaining('The Kiln Shop') });
    }
    const { items } = await kiln.json<Status>('status', 'storefront', 'live/local');
    expect(items[0]?.groups.find((one) => one.process === 'web')?.instances).toHaveLength(3);
  });

  test('again: it says that there is nothing to do, and leaves everything alone', async () => {
    const before = await whatRuns('storefront');
    expect(await kiln.json<Up>('up', app)).toMatchObject({ changed: false });
    expect(await whatRuns('storefront')).toEqual(before);
    expect((await kiln.json<{ items: unknown[] }>('releases', 'storefront')).items).toHaveLength(2);
  });

  test('after one line was edited the new page is live', async () => {
    const file = path.join(app, 'page.js');
    await writeFile(file, (await readFile(file, 'utf8')).replace('Fired once.', 'Fired twice.'));
    expect(await kiln.json<Up>('up', app)).toMatchObject({ changed: true });
    expect((await kiln.ask('storefront.live.localhost')).body).toContain('Fired twice.');
  });

  test('logs shows what the instances write, and stop ends them', async () => {
    const logs = await kiln.run('logs', 'storefront', 'stage/local', '--tail', '200');
    expect(logs.stdout).toContain('working');
    await kiln.json('stop', 'storefront', 'stage/local');
    await until('nothing of it runs', async () => (await whatRuns('storefront', 'stage/local')).length === 0);
    const { items } = await kiln.json<Status>('status', 'storefront', 'stage/local');
    expect(items[0]?.verdict).toBe('stopped');
    expect((await kiln.ask('storefront.stage.localhost')).status).toBeGreaterThanOrEqual(400);
    expect((await kiln.ask('storefront.live.localhost')).status).toBe(200);
  });

  test('a stopped service serves again when it is deployed', async () => {
    await kiln.json('deploy', 'storefront', 'stage/local');
    expect((await kiln.ask('storefront.stage.localhost')).status).toBe(200);
  });
});

describe('releases of the shop', () => {
  const deploy = (version: string, ...flags: string[]) =>
    kiln.json<{ deployment: { id: string; state: string } }>(
      'deploy',
      `shop@${version}`,
      'stage/local',
      ...flags,
    );

  test('deploy takes the steps that plan shows, and no others', async () => {
    await bakeShop(kiln, '1.0.0', {
      text: 'first',
      greeting: 'hello',
      hosts: ['one.localhost'],
      instances: 2,
      worker: true,
    });
    await deploy('1.0.0');
    await bakeShop(kiln, '2.0.0', {
      text: 'second',
      greeting: 'welcome',
      hosts: ['two.localhost'],
      instances: 2,
      worker: true,
    });
    const plan = await kiln.json<{ steps: Step[] }>('plan', 'shop@2.0.0', 'stage/local');
    const { deployment } = await deploy('2.0.0');
    expect(deployment.state).toBe('deployed');
    const taken = (await progressOf(deployment.id)).filter((step) => step.step !== 'wait');
    // The last planned step is the word "deployed" itself.
    const planned = plan.steps.filter((step) => step.kind !== 'wait').slice(0, -1);
    expect(taken.map((step) => step.text)).toEqual(planned.map((step) => step.text));
  });

  test('the new release has its own page, configuration, hosts and worker; the old worker is gone', async () => {
    expect(await kiln.ask('two.localhost')).toMatchObject({ status: 200, body: 'second | welcome' });
    expect((await kiln.ask('one.localhost')).status).toBe(404);
    await until('one worker runs, of the new release', async () => {
      const { items } = await kiln.json<Status>('status', 'shop', 'stage/local');
      const workers = items[0]?.groups.filter((one) => one.process === 'worker') ?? [];
      return workers.length === 1 && workers[0]?.release === 2;
    });
  });

  test('rollback restores image, configuration and routes together', async () => {
    expect(await kiln.json('rollback', 'shop', 'stage/local')).toMatchObject({ state: 'deployed', to: 1 });
    expect(await kiln.ask('one.localhost')).toMatchObject({ status: 200, body: 'first | hello' });
    expect((await kiln.ask('two.localhost')).status).toBe(404);
    expect(await kiln.run('rollback', 'shop', 'stage/local')).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('[rollback.nothing]'),
    });
  });

  test('rollback brings back instances that are not kept warm any more', async () => {
    await bakeShop(kiln, '3.0.0', { text: 'third', hosts: ['one.localhost'], instances: 2, keepWarm: '0s' });
    await deploy('3.0.0');
    await until('only release 3 runs', async () => {
      const { items } = await kiln.json<Status>('status', 'shop', 'stage/local');
      return items[0]?.groups.every((group) => group.release === 3) ?? false;
    });
    await kiln.json('rollback', 'shop', 'stage/local');
    expect((await kiln.ask('one.localhost')).body).toBe('first | hello');
  });

  test('rolling replaces a few at a time, and loses no request', async () => {
    await bakeShop(kiln, '4.0.0', {
      text: 'fourth',
      hosts: ['one.localhost'],
      instances: 3,
      strategy: 'rolling',
    });
    const load = await startLoad(await kiln.routerAddress(), 'one.localhost', {
      connections: 4,
      newPerSecond: 20,
    });
    const { deployment } = await deploy('4.0.0');
    const report = await load.stop();
    expect(report).toMatchObject({
      failed: 0,
      answers: { '1.0.0': expect.any(Number), '4.0.0': expect.any(Number) },
    });
    const texts = (await progressOf(deployment.id)).map((step) => step.text);
    expect(texts.filter((text) => text.startsWith('scale shop-web'))).toHaveLength(2);
    const { items } = await kiln.json<Status>('status', 'shop', 'stage/local');
    expect(items[0]?.groups.find((one) => one.release === 4)?.instances).toHaveLength(3);
  });

  test('a release may move its health path: old and new are each asked at their own', async () => {
    const hosts = ['one.localhost'];
    await bakeShop(kiln, '5.0.0', {
      ...{ text: 'fifth', hosts, instances: 2, strategy: 'rolling', healthPath: '/other-health' },
    });
    const load = await startLoad(await kiln.routerAddress(), 'one.localhost', {
      connections: 4,
      newPerSecond: 20,
    });
    const { deployment } = await deploy('5.0.0');
    expect(deployment.state).toBe('deployed');
    await kiln.json('rollback', 'shop', 'stage/local');
    const report = await load.stop();
    expect(report).toMatchObject({ failed: 0, answers: { '5.0.0': expect.any(Number) } });
  });
});

interface Step {
  readonly kind: string;
  readonly text: string;
}

describe('a release that cannot serve', () => {
  const good: ShopWish = { text: 'the good one', hosts: ['bad.localhost'] };

  beforeAll(async () => {
    await bakeShop(kiln, '10.0.0', good);
    await kiln.json('deploy', 'shop@10.0.0', 'stage/local');
  });

  const bad: readonly [string, Partial<ShopWish>, number, string, RegExp][] = [
    [
      'answers 503 on its health path',
      { behaviour: 'ill' },
      6,
      'deployment.failed',
      /answers \/health with status 503/,
    ],
    ['never answers', { behaviour: 'hangs' }, 6, 'deployment.failed', /does not answer \/health within 1 s/],
    [
      'has one silent instance beside good ones',
      { behaviour: 'one-silent', instances: 3 },
      6,
      'deployment.failed',
      /v\d+-1-\w+ was not healthy within 2 s[\s\S]*The last lines of \S+-1-\w+:[\s\S]*nothing to say[\s\S]*→ .*startup/,
    ],
    ['never listens', { behaviour: 'silent' }, 6, 'deployment.failed', /does not listen on the PORT/],
    [
      'crashes at once',
      { behaviour: 'crashes', startup: '60s' },
      6,
      'release.bad',
      /exited with code 3[\s\S]*the fixture was told to crash/,
    ],
    [
      'fails its smoke check',
      { behaviour: 'wrong-page' },
      1,
      'check.failed',
      /smoke\.yaml:2 the page is the page/,
    ],
    [
      'cannot migrate',
      { migrate: 'echo no such table; exit 4' },
      6,
      'migrate.failed',
      /exit code 4[\s\S]*no such table/,
    ],
    ['misses a key', { required: ['db_url'] }, 2, 'config.missing-key', /level stage has no "db_url"/],
  ];

  test.each(bad)(
    'one that %s never gets there, and the old one goes on',
    async (name, wish, code, error, said) => {
      const version = `11.0.${bad.findIndex(([one]) => one === name)}`;
      await bakeShop(kiln, version, { ...good, text: name, startup: '2s', ...wish });
      const load = await startLoad(await kiln.routerAddress(), 'bad.localhost', {
        connections: 2,
        newPerSecond: 10,
      });
      const result = await kiln.run('deploy', `shop@${version}`, 'stage/local');
      const report = await load.stop();
      expect(result).toMatchObject({ code, stderr: expect.stringContaining(`[${error}]`) });
      expect(result.stderr).toMatch(said);
      expect(result.stderr).toContain('→ ');
      expect(report).toMatchObject({ failed: 0, failures: {} });
      await expectServing('10.0.0', 'bad.localhost');
    },
  );

  test('one whose ports another process takes never gets there, and that process gets no request', async () => {
    await bakeShop(kiln, '12.0.0', { ...good, text: 'robbed', behaviour: 'silent', startup: '3s' });
    const squatter = squatOnPortsOf('12.0.0');
    try {
      const result = await kiln.run('deploy', 'shop@12.0.0', 'stage/local');
      expect(result).toMatchObject({ code: 6, stderr: expect.stringContaining('[deployment.failed]') });
      expect(result.stderr).toContain('is taken by another process');
      expect(squatter.ports.size).toBeGreaterThan(0);
      expect(squatter.pages()).toBe(0);
    } finally {
      await squatter.stop();
    }
    await expectServing('10.0.0', 'bad.localhost');
  });

  test('a migration that failed runs again when it is asked for again; one that passed does not', async () => {
    let status = 500;
    let runs = 0;
    const database = createServer((_, response) => {
      runs += 1;
      response.writeHead(status).end();
    });
    database.listen(0, '127.0.0.1');
    await once(database, 'listening');
    try {
      const address = database.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const script = `fetch('http://127.0.0.1:${port}').then((answer) => process.exit(answer.ok ? 0 : 9))`;
      const migrate = `node -e "${script}"`;
      await bakeShop(kiln, '13.0.0', { ...good, text: 'migrated', behaviour: 'wrong-page', migrate });
      const deploy = () => kiln.run('deploy', 'shop@13.0.0', 'stage/local');
      expect((await deploy()).stderr).toContain('[migrate.failed]');
      status = 200;
      expect((await deploy()).stderr).toContain('[check.failed]');
      expect((await deploy()).stderr).toContain('[check.failed]');
      expect(runs).toBe(2);
    } finally {
      database.close();
    }
    await expectServing('10.0.0', 'bad.localhost');
  });
});

describe('two deployments at once', () => {
  const wish: ShopWish = { text: 'once', hosts: ['twice.localhost'] };
  const stuck: ShopWish = { ...wish, text: 'stuck', behaviour: 'silent' };

  /** Begins one that waits for an instance that never listens. */
  async function beginStuck(): Promise<string> {
    const begun = await kiln.json<{ deployment: { id: string } }>(
      ...['deploy', 'shop@21.0.0', 'stage/local', '--detach'],
    );
    return begun.deployment.id;
  }
  const stateOf = async (id: string): Promise<string> => {
    const answer = await kiln.call('GET', `/api/v1/deployments/${id}?wait=30`);
    const { state }: { state: string } = JSON.parse(await answer.text());
    return state;
  };

  beforeAll(async () => {
    await bakeShop(kiln, '20.0.0', wish);
    await bakeShop(kiln, '21.0.0', stuck);
    await bakeShop(kiln, '22.0.0', { ...wish, text: 'twice' });
    await bakeShop(kiln, '23.0.0', { ...wish, text: 'thrice' });
    await kiln.json('deploy', 'shop@20.0.0', 'stage/local');
  });

  test('the second is refused and names the first; cancel takes the first back', async () => {
    const first = await beginStuck();
    const refused = await kiln.run('deploy', 'shop@22.0.0', 'stage/local');
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('[deployment.in-progress]') });
    expect(refused.stderr).toContain(first);
    await kiln.json('cancel', first);
    expect(await stateOf(first)).toBe('cancelled');
    await expectServing('20.0.0', 'twice.localhost');
  });

  test('one that is queued begins when the first has ended', async () => {
    const first = await beginStuck();
    const second = kiln.json('deploy', 'shop@22.0.0', 'stage/local', '--on-conflict', 'queue');
    await until('the second is queued', async () => {
      const answer = await kiln.call('GET', '/api/v1/deployments?component=shop&limit=1');
      const { items }: { items: { state: string }[] } = JSON.parse(await answer.text());
      return items[0]?.state === 'queued';
    });
    await kiln.json('cancel', first);
    expect(await second).toMatchObject({ deployment: { state: 'deployed' } });
    expect(await stateOf(first)).toBe('cancelled');
    await expectServing('22.0.0', 'twice.localhost');
  });

  test('one that replaces the first takes it back and goes on', async () => {
    const first = await beginStuck();
    const second = await kiln.json('deploy', 'shop@23.0.0', 'stage/local', '--on-conflict', 'replace');
    expect(second).toMatchObject({ deployment: { state: 'deployed' } });
    expect(await stateOf(first)).toBe('cancelled');
    await expectServing('23.0.0', 'twice.localhost');
  });
});

/** Ids of the running instances, and releases. */
async function whatRuns(component: string, ...environment: string[]): Promise<readonly string[]> {
  const { items } = await kiln.json<Status>('status', component, ...environment);
  return items.flatMap((one) =>
    one.groups.flatMap((group) => group.instances.map((instance) => instance.id)),
  );
}

/** What was said while it went on, from the stream of events. */
async function progressOf(deployment: string): Promise<readonly { step: string; text: string }[]> {
  const answer = await kiln.call('GET', `/api/v1/events?after=0&kind=deployment.&subject=${deployment}`);
  const said: { step: string; text: string }[] = [];
  let text = '';
  for await (const chunk of answer.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (text.includes('event: deployment.finished')) break;
  }
  for (const [, data = '{}'] of text.matchAll(/event: deployment\.progress\n(?:id: .*\n)?data: (.*)/g)) {
    said.push(JSON.parse(data).data);
  }
  return said;
}

/** Listens on every port that instances of a version are given, before they do, and answers 200 to anything. */
function squatOnPortsOf(version: string): { ports: Set<number>; pages(): number; stop(): Promise<void> } {
  const ports = new Set<number>();
  const servers: Server[] = [];
  let pages = 0;
  let stopped = false;
  const listenOn = (port: number): void => {
    ports.add(port);
    const server = createServer((request, response) => {
      if (request.url !== '/health') pages += 1;
      response.end('stolen');
    });
    server.on('error', () => ports.delete(port));
    server.listen(port, '127.0.0.1');
    servers.push(server);
  };
  const looking = (async () => {
    while (!stopped) {
      for (const { pid } of await processesOf(`KILN_VERSION=${version}`)) {
        const environ = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
        const port = Number(/(?:^|\0)PORT=(\d+)/.exec(environ)?.[1]);
        if (port > 0 && !ports.has(port)) listenOn(port);
      }
      await sleep(20);
    }
  })();
  return {
    ports,
    pages: () => pages,
    stop: async () => {
      stopped = true;
      await looking;
      for (const server of servers) server.closeAllConnections();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

async function expectServing(version: string, host: string): Promise<void> {
  const { items } = await kiln.json<Status>('status', 'shop', 'stage/local');
  expect(items[0]).toMatchObject({ verdict: 'serving', serving: { version } });
  expect((await kiln.ask(host)).headers.get('x-release')).toBe(version);
}
