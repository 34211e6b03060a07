/** Images checked for real: booted, asked and removed on the local target. */
import { spawn, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkEnvironment } from '../../src/checks/environment-check.ts';
import { BAKE_ENVIRONMENT, checkImage, type ImageCheckRequest } from '../../src/checks/image-check.ts';
import type { EnvironmentSpec, ProcessSpec } from '../../src/domain/component.ts';
import { KilnError } from '../../src/domain/errors.ts';
import {
  componentName,
  type Digest,
  digest,
  environmentName,
  type ImageId,
  processName,
  serviceKey,
} from '../../src/domain/ids.ts';
import type { Image } from '../../src/domain/image.ts';
import type { Target } from '../../src/domain/ports/target.ts';
import type { Release } from '../../src/domain/release.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import type { LocalTargetOptions } from '../../src/targets/local/target.ts';
import { freePort } from '../free-port.ts';
import { eventually, NEVER, TargetFixture } from './target-fixture.ts';

const hasBats = spawnSync('sh', ['-c', 'command -v bats']).status === 0;
const INPUT_KEY = digest(`sha256:${'a'.repeat(64)}`);
const SERVER = `
import http from 'node:http';
http.createServer((request, response) => {
  if (request.url === '/health') return response.writeHead(process.env.SICK === 'yes' ? 500 : 200).end();
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ host: request.headers.host, greeting: process.env.GREETING }));
}).listen(Number(process.env.PORT), process.env.HOST ?? '127.0.0.1');
`;

const STANDARD_SERVER = `
import http from 'node:http';
const now = () => new Date().toISOString();
http.createServer((request, response) => {
  if (request.headers.host.startsWith('other')) return response.writeHead(404).end();
  response.setHeader('cache-control', 'no-store');
  if (request.url === '/service/healthcheck/gtg') {
    return response.setHeader('content-type', 'text/plain').end('OK');
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({
    component: 'storefront', version: process.env.VERSION, environment: 'bake/local', release: '1',
    instance: 'i', process: 'web', machine_name: 'm', runtime: 'node', up_since: now(),
    up_duration_millis: 1, current_time: now(), report_as_of: now(), report_duration_millis: 0,
    tests: [], values: {}, hidden: [], host: request.headers.host,
  }));
}).listen(Number(process.env.PORT), process.env.HOST ?? '127.0.0.1');
`;

const TEST_FILES = {
  'test/image/serves.sh': `node -e 'fetch(process.env.BASE_URL).then((a) => process.exit(a.status === 200 ? 0 : 1))'`,
  'test/image/fails.sh': 'echo broken; exit 1',
  'test/bats/image.bats': `
@test "the address is known" { [ -n "$BASE_URL" ]; }
@test "the image cannot be changed" { ! touch /app/new 2>/dev/null || [ ! -d /app ]; }
@test "there is room for temporary files" { echo x > "$BATS_TEST_TMPDIR/x"; }
`,
};

const SERVICE = serviceKey(componentName('storefront'), BAKE_ENVIRONMENT);

/** The target, with one of its calls failing, the first time or from a later one on. */
function failing(target: Target, call: keyof Target, error: KilnError, fromCall = 1): Target {
  let calls = 0;
  return new Proxy(target, {
    get(real, key) {
      if (key === call && ++calls >= fromCall) return () => Promise.reject(error);
      const value: unknown = Reflect.get(real, key);
      return typeof value === 'function' ? value.bind(real) : value;
    },
  });
}

let fixture: TargetFixture;
let target: Target;
let artifact: Digest;

async function start(options: Partial<LocalTargetOptions>): Promise<void> {
  fixture = await TargetFixture.create(options);
  target = await fixture.target();
  artifact = await fixture.image({ 'server.mjs': SERVER, 'standard.mjs': STANDARD_SERVER, ...TEST_FILES });
}

async function expectNothingLeft(): Promise<void> {
  expect(await target.groups(SERVICE, NEVER)).toEqual([]);
}

const WEB: ProcessSpec = {
  name: processName('web'),
  run: 'node server.mjs',
  listens: true,
  health: { path: '/health', intervalMs: 100, timeoutMs: 1_000, startupMs: 20_000 },
  standard: false,
  instances: { min: 1, desired: 3, max: 5 },
  stop: { signals: ['SIGTERM', 'SIGKILL'], graceMs: 1_000 },
  volumes: [],
};

interface Wish {
  readonly processes?: readonly ProcessSpec[];
  readonly checks?: readonly string[];
  readonly tests?: readonly string[];
  readonly attachments?: Readonly<Record<string, string>>;
}

function request(wish: Wish, change: Partial<ImageCheckRequest> = {}): ImageCheckRequest {
  const component = componentName('storefront');
  const defaults: EnvironmentSpec = {
    processes: wish.processes ?? [WEB],
    config: { required: [], values: {}, env: 'all', files: [] },
    deploy: { strategy: 'rolling', keepWarmMs: 0, timeoutMs: 1, batch: 1, steps: [], everyMs: 1 },
    routes: [],
    checks: wish.checks ?? [],
    target: 'test',
  };
  const image: Image = {
    id: 'image-1' as ImageId,
    component,
    version: '1.0.0',
    inputKey: INPUT_KEY,
    tags: {},
    artifacts: [],
    checks: [],
    createdAtMs: 0,
    definition: {
      component,
      image: {
        kind: 'bundle',
        build: [],
        buildEnvironment: {},
        include: [],
        exclude: [],
        tests: wish.tests ?? [],
      },
      defaults,
      environments: {},
      attachments: wish.attachments ?? {},
    },
  };
  let ids = 0;
  return {
    image,
    artifact,
    target,
    fence: 1,
    release: 7,
    environment: { GREETING: 'hello' },
    files: [],
    clock: systemClock,
    newId: () => `check-${++ids}`,
    signal: AbortSignal.timeout(50_000),
    ...change,
  };
}

const SMOKE = `
tests:
  - name: Home
    port: 80
    outcomes:
      response_json_contains: {greeting: hello}
`;

afterEach(() => fixture.destroy());

describe.each([
  { name: 'in a sandbox where there can be one', options: {} },
  { name: 'without a sandbox', options: { isolation: 'none' } as const },
])('the check of an image, $name', ({ options }) => {
  beforeEach(() => start(options));

  it('boots it with one instance and leaves nothing behind', async () => {
    const results = await checkImage(request({}));
    expect(results).toEqual([
      {
        id: 'check-1',
        kind: 'boot',
        where: 'bake/local',
        passed: true,
        passedCount: 1,
        failedCount: 0,
        failures: [],
        atMs: expect.any(Number),
      },
    ]);
    await expectNothingLeft();
  });

  it('asks the booted instance what the check files say, whatever port they name', async () => {
    const attachments = { 'checks/smoke.yaml': SMOKE, 'checks/bad.yaml': SMOKE.replace('hello', 'bye') };
    const results = await checkImage(request({ checks: Object.keys(attachments), attachments }));
    expect(results.map(({ kind, passed }) => [kind, passed])).toEqual([
      ['boot', true],
      ['smoke', false],
    ]);
    expect(results[1]).toMatchObject({
      passedCount: 3,
      failedCount: 1,
      failures: [
        `checks/bad.yaml:3 Home: response_json_contains: Invalid json value 'hello' at path "greeting", expecting 'bye'`,
      ],
    });
  });

  it('runs its own tests inside, with the address of the instance', async () => {
    const results = await checkImage(request({ tests: ['test/image/*.sh', 'test/none/*.bats'] }));
    expect(results.map(({ kind, passed }) => [kind, passed])).toEqual([
      ['boot', true],
      ['in-image', false],
    ]);
    expect(results[1]?.failures).toEqual([
      'test/image/fails.sh: ended with exit code 1: broken',
      'test/none/*.bats: no such file in the image',
    ]);
    expect(results[1]?.passedCount).toBe(1);
    await expectNothingLeft();
  });

  it.skipIf(!hasBats && process.env.CI !== 'true')(
    'runs bats files inside, beside an instance that holds a volume (needs the Debian package bats)',
    async () => {
      const web = { ...WEB, volumes: [{ name: 'data', path: 'data', shared: false }] };
      const results = await checkImage(request({ processes: [web], tests: ['test/**/*.bats'] }));
      expect(results.at(1)).toMatchObject({ kind: 'in-image', passed: true, passedCount: 3, failures: [] });
      // Asked again, everything runs again: no earlier result is taken for this one's.
      expect(await checkImage(request({ processes: [web], tests: ['test/**/*.bats'] }))).toHaveLength(2);
      await expectNothingLeft();
    },
  );

  it.each([
    [{ run: 'sh -c "echo out of clay >&2; exit 3"' }, /^web: it exited with code 3\n {2}│ out of clay$/],
    [{ run: 'sh -c "sleep 0.2; kill -9 $$"' }, /^web: it ended by SIGKILL$/],
    [
      { health: { path: '/health', intervalMs: 1, timeoutMs: 500, startupMs: 5_000 } },
      /health path \/health did not/,
    ],
    [
      { run: 'sleep 60', health: { path: '/', intervalMs: 1, timeoutMs: 500, startupMs: 500 } },
      /does not listen on its PORT/,
    ],
  ])('fails the boot of %j, and asks nothing more', async (change, why) => {
    const process = { ...WEB, ...change };
    const results = await checkImage(
      request(
        { processes: [process], checks: ['s.yaml'], attachments: { 's.yaml': SMOKE } },
        { environment: { SICK: 'yes' } },
      ),
    );
    expect(results).toMatchObject([{ kind: 'boot', passed: false, failedCount: 1 }]);
    expect(results[0]?.failures[0]).toMatch(why);
    await expectNothingLeft();
  });

  it('starts fresh: nothing that an earlier check wrote to a volume is there', async () => {
    const onceOnly = `sh -c 'if [ -e data/mark ]; then echo not fresh; exit 9; fi; echo x > data/mark; exec node server.mjs'`;
    const web = { ...WEB, run: onceOnly, volumes: [{ name: 'data', path: 'data', shared: false }] };
    expect(await checkImage(request({ processes: [web] }))).toMatchObject([{ passed: true }]);
    // Nor what one left that was killed.
    const killed = failing(target, 'removeVolumes', new KilnError('timeout', 'It was killed.'), 2);
    await expect(checkImage(request({ processes: [web] }, { target: killed }))).rejects.toThrow();
    expect(await checkImage(request({ processes: [web] }))).toMatchObject([{ failures: [] }]);
  });

  it('wants a worker to stay up, and starts nothing that has no instances', async () => {
    const other = (name: string, run: string): ProcessSpec => {
      const { health: _health, ...rest } = WEB;
      return { ...rest, name: processName(name), run, listens: false };
    };
    const good = [
      other('worker', 'sleep 60'),
      { ...other('off', 'false'), instances: { min: 0, desired: 0, max: 0 } },
    ];
    expect(await checkImage(request({ processes: good }))).toMatchObject([{ passed: true, passedCount: 1 }]);
    expect(await checkImage(request({ processes: [other('worker', 'false')] }))).toMatchObject([
      { kind: 'boot', passed: false },
    ]);
  });

  it('refuses a check file that is missing or wrong before it boots anything', async () => {
    const missing = checkImage(request({ checks: ['none.yaml'] }));
    await expect(missing).rejects.toMatchObject({ code: 'check.invalid' });
    const wrong = checkImage(request({ checks: ['s.yaml'], attachments: { 's.yaml': 'tests: [{nme: a}]' } }));
    await expect(wrong).rejects.toMatchObject({
      code: 'check.invalid',
      faults: [{}, { didYouMean: 'name' }],
    });
    await expectNothingLeft();
  });

  it('removes its groups when it is cancelled, or the target fails', async () => {
    const controller = new AbortController();
    const hanging = { ...WEB, run: 'sleep 60' };
    const running = checkImage(request({ processes: [hanging] }, { signal: controller.signal }));
    await eventually('it boots', async () => (await target.groups(SERVICE, NEVER)).length > 0);
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
    await expectNothingLeft();

    const broken = failing(target, 'observe', new KilnError('instance.port-taken', 'The port is taken.'));
    await expect(checkImage(request({}, { target: broken }))).rejects.toMatchObject({
      code: 'instance.port-taken',
    });
    await expectNothingLeft();
  });

  it('says so when its groups cannot be removed', async () => {
    const broken = failing(target, 'remove', new KilnError('fence.stale', 'Somebody else owns it.'));
    await expect(checkImage(request({}, { target: broken }))).rejects.toMatchObject({
      code: 'fence.stale',
      message: expect.stringContaining('could not be removed'),
    });
  });
});

describe('the standard endpoints', () => {
  beforeEach(() => start({}));

  const { health: _health, ...rest } = WEB;
  const standard: ProcessSpec = { ...rest, run: 'node standard.mjs', standard: true };
  const check = (version: string) =>
    checkImage(request({ processes: [standard] }, { environment: { VERSION: version } }));

  it('are asked of a process that keeps the standard', async () => {
    expect(await check('1.0.0')).toMatchObject([
      { kind: 'boot', passed: true },
      { kind: 'standard', passed: true, passedCount: 4, failedCount: 0 },
    ]);
    expect(await check('0.9.0')).toMatchObject([
      { passed: true },
      {
        kind: 'standard',
        passed: false,
        passedCount: 3,
        failures: ['/service/status: version is "0.9.0", expected "1.0.0"'],
      },
    ]);
  });

  it('fail a service that has none', async () => {
    const results = await checkImage(request({ processes: [{ ...WEB, standard: true }] }));
    expect(results.at(1)).toMatchObject({ kind: 'standard', passed: false, passedCount: 0 });
  });
});

describe('the check of an environment', () => {
  beforeEach(() => start({}));

  const SMOKE_THROUGH_ROUTER = `
tests:
  - name: Home
    protocol: https
    inputs: {headers: {Host: localhost}}
    outcomes: {response_json_contains: {version: 1.0.0, host: shop.example}}
`;

  it('asks the router for the component’s host, as soon as something answers', async () => {
    await writeFile(path.join(fixture.directory, 'standard.mjs'), STANDARD_SERVER);
    const port = await freePort();
    const { image } = request({});
    const web = { ...WEB, standard: true };
    const settings = {
      target: 'test',
      processes: [web],
      deploy: image.definition.defaults.deploy,
      environment: {},
    };
    const release: Release = {
      component: image.component,
      environment: environmentName('stage/uk'),
      number: 1,
      image: image.id,
      version: '1.0.0',
      artifact: INPUT_KEY,
      config: { digest: INPUT_KEY, values: {}, files: [] },
      settings: { ...settings, checks: ['smoke.yaml'] },
      routes: [
        { host: 'other.example', path: '/other', process: processName('worker') },
        { host: 'shop.example', path: '/', process: web.name },
      ],
      createdAtMs: 0,
      createdBy: 'test',
    };
    const check = (change: Partial<Release>, host: string) =>
      checkEnvironment({
        release: { ...release, routes: release.routes.filter((route) => route.host === host), ...change },
        attachments: { 'smoke.yaml': SMOKE_THROUGH_ROUTER },
        router: { host: '127.0.0.1', port },
        waitMs: 20_000,
        clock: systemClock,
        newId: () => 'c',
        signal: AbortSignal.timeout(50_000),
      });
    const early = check({}, 'shop.example');
    await delay(300);
    const child = spawn(process.execPath, ['standard.mjs'], {
      cwd: fixture.directory,
      env: { PORT: String(port), VERSION: '1.0.0' },
      stdio: 'ignore',
    });
    try {
      expect(await early).toMatchObject([
        { kind: 'standard', where: 'stage/uk', passed: true, passedCount: 4 },
        { kind: 'smoke', where: 'stage/uk', passed: true, passedCount: 3 },
      ]);
      expect(await check({}, 'other.example')).toMatchObject([{ kind: 'smoke', passed: false }]);
      expect(
        await check({ settings: { ...settings, processes: [WEB], checks: [] } }, 'shop.example'),
      ).toEqual([]);
    } finally {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    }
  });
});
