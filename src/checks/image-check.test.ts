/** With real processes, under the smallest target that can run them; the real targets have their own suites. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EnvironmentSpec, ProcessSpec } from '../domain/component.ts';
import { KilnError } from '../domain/errors.ts';
import {
  componentName,
  digest,
  environmentName,
  type ImageId,
  type InstanceId,
  processName,
  type ServerGroupName,
} from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { RunOnceResult, Target } from '../domain/ports/target.ts';
import type { Release } from '../domain/release.ts';
import type { GroupSpec } from '../domain/server-group.ts';
import { checkEnvironment } from './environment-check.ts';
import { checkImage, type ImageCheckRequest } from './image-check.ts';

const ARTIFACT = digest(`sha256:${'a'.repeat(64)}`);
const SERVER = `
import http from 'node:http';
http.createServer((request, response) => {
  if (request.url === '/health') return response.writeHead(process.env.SICK === 'yes' ? 500 : 200).end();
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ host: request.headers.host, greeting: process.env.GREETING }));
}).listen(Number(process.env.PORT), '127.0.0.1');
`;

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, { signal });
  },
};

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly startedAtMs: number;
  listening: boolean;
  output: string;
}

/** Runs one process per group in `folder`; never starts one again. */
class ProcessTarget implements Target {
  readonly name = 'test';
  readonly groupsRunning = new Map<ServerGroupName, Running>();
  readonly removed: ServerGroupName[] = [];
  readonly runs: string[] = [];
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async capabilities() {
    return {
      keepsGroups: false,
      volumes: false,
      exec: false,
      runOnce: true,
      isolation: 'none',
      traffic: 'kiln',
    } as const;
  }
  async prepare(): Promise<void> {}

  async ensure(spec: GroupSpec): Promise<void> {
    const port = await freePort();
    const child = spawn('/bin/sh', ['-c', `exec ${spec.process.run}`], {
      cwd: this.#folder,
      env: { PATH: process.env.PATH, ...spec.environment, PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const running: Running = { child, port, startedAtMs: Date.now(), listening: false, output: '' };
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        running.output += chunk;
      });
    }
    this.groupsRunning.set(spec.group, running);
  }

  async observe(group: ServerGroupName) {
    const running = this.groupsRunning.get(group);
    if (running === undefined) return undefined;
    const { child, port, startedAtMs } = running;
    running.listening ||= await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    const endpoint = { host: '127.0.0.1', port };
    const phase =
      child.exitCode !== null || child.signalCode !== null
        ? ({ kind: 'exited', exitCode: child.exitCode, signal: child.signalCode } as const)
        : ({ kind: 'running', ...(running.listening ? { endpoint } : {}) } as const);
    const instance = { id: `${group}-1` as InstanceId, ordinal: 1, phase, startedAtMs };
    return { group, instances: [instance], health: { kind: 'steady' } } as const;
  }
  async groups() {
    return [...this.groupsRunning.keys()];
  }
  async services() {
    return [];
  }
  async replace(): Promise<void> {}

  async remove(group: ServerGroupName): Promise<void> {
    this.removed.push(group);
    const running = this.groupsRunning.get(group);
    this.groupsRunning.delete(group);
    if (running === undefined || running.child.exitCode !== null || running.child.signalCode !== null) return;
    const gone = new Promise((resolve) => running.child.once('exit', resolve));
    running.child.kill('SIGKILL');
    await gone;
  }

  runOnce(spec: GroupSpec, command: string, key: string): Promise<RunOnceResult> {
    this.runs.push(key);
    return new Promise((resolve, reject) => {
      const child = spawn('/bin/sh', ['-c', command], {
        cwd: this.#folder,
        env: { PATH: process.env.PATH, ...spec.environment },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk) => {
          output += chunk;
        });
      }
      child.once('error', reject);
      child.once('close', (code) => resolve({ exitCode: code ?? -1, logTail: output.trimEnd().split('\n') }));
    });
  }

  async *logs(groups: readonly ServerGroupName[]) {
    for (const group of groups) {
      for (const text of (this.groupsRunning.get(group)?.output ?? '').trimEnd().split('\n')) {
        yield { instance: `${group}-1` as InstanceId, text };
      }
    }
  }
  onChange() {
    return () => {};
  }
  async close(): Promise<void> {}
}

let folder = '';
let target: ProcessTarget;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kiln-image-check-'));
  target = new ProcessTarget(folder);
  writeFileSync(path.join(folder, 'server.mjs'), SERVER);
});
afterEach(async () => {
  for (const group of await target.groups()) await target.remove(group);
  rmSync(folder, { recursive: true, force: true });
});

const WEB: ProcessSpec = {
  name: processName('web'),
  run: `"${process.execPath}" server.mjs`,
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
    inputKey: ARTIFACT,
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
    artifact: ARTIFACT,
    target,
    fence: 1,
    release: 7,
    environment: { GREETING: 'hello' },
    files: [],
    clock,
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

describe('the check of an image', () => {
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
    expect(target.removed).toEqual(['storefront-web-bake-local-check-v007']);
    expect(target.groupsRunning.size).toBe(0);
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
    mkdirSync(path.join(folder, 'test/image'), { recursive: true });
    const ask = `"${process.execPath}" -e 'fetch(process.env.BASE_URL).then((a) => process.exit(a.status === 200 ? 0 : 1))'`;
    writeFileSync(path.join(folder, 'test/image/serves.sh'), ask);
    writeFileSync(path.join(folder, 'test/image/fails.sh'), 'echo broken; exit 1');
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
    expect(new Set(target.runs).size).toBe(target.runs.length);
  });

  it.each([
    [{ run: 'sh -c "echo out of clay >&2; exit 3"' }, /^web: it ended with exit code 3.*out of clay/],
    [{ run: 'sh -c "kill -9 $$"' }, /^web: it was ended by SIGKILL/],
    [
      { health: { path: '/health', intervalMs: 1, timeoutMs: 500, startupMs: 1_500 } },
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
    expect(target.groupsRunning.size).toBe(0);
  });

  it('wants a worker to stay up, and lets a job end well', async () => {
    const other = (name: string, run: string): ProcessSpec => {
      const { health: _health, ...rest } = WEB;
      return { ...rest, name: processName(name), run, listens: false };
    };
    const good = [
      other('worker', 'sleep 60'),
      other('job', 'true'),
      { ...other('off', 'false'), instances: { min: 0, desired: 0, max: 0 } },
    ];
    expect(await checkImage(request({ processes: good }))).toMatchObject([{ passed: true, passedCount: 2 }]);
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
    expect(target.removed).toEqual([]);
  });

  it('removes its groups when it is cancelled, or the target fails', async () => {
    const controller = new AbortController();
    const hanging = { ...WEB, run: 'sleep 60' };
    const running = checkImage(request({ processes: [hanging] }, { signal: controller.signal }));
    while (target.groupsRunning.size === 0) await delay(10);
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
    expect(target.groupsRunning.size).toBe(0);

    target.observe = async () => {
      throw new KilnError('instance.port-taken', 'The port is taken.');
    };
    await expect(checkImage(request({}))).rejects.toMatchObject({ code: 'instance.port-taken' });
    expect(target.groupsRunning.size).toBe(0);
  });

  it('says so when its groups cannot be removed', async () => {
    const { remove } = target;
    target.remove = async () => {
      throw new KilnError('fence.stale', 'Somebody else owns it.');
    };
    await expect(checkImage(request({}))).rejects.toMatchObject({
      code: 'fence.stale',
      message: expect.stringContaining('could not be removed'),
    });
    target.remove = remove;
  });
});

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
}).listen(Number(process.env.PORT), '127.0.0.1');
`;

describe('the standard endpoints', () => {
  const { health: _health, ...rest } = WEB;
  const standard: ProcessSpec = { ...rest, run: `"${process.execPath}" standard.mjs`, standard: true };
  const check = (version: string) =>
    checkImage(request({ processes: [standard] }, { environment: { VERSION: version } }));

  it('are asked of a process that keeps the standard', async () => {
    writeFileSync(path.join(folder, 'standard.mjs'), STANDARD_SERVER);
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
  const SMOKE_THROUGH_ROUTER = `
tests:
  - name: Home
    protocol: https
    inputs: {headers: {Host: localhost}}
    outcomes: {response_json_contains: {version: 1.0.0, host: shop.example}}
`;

  it('asks the router for the component’s host, as soon as something answers', async () => {
    writeFileSync(path.join(folder, 'standard.mjs'), STANDARD_SERVER);
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
      artifact: ARTIFACT,
      config: { digest: ARTIFACT, values: {}, files: [] },
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
        clock,
        newId: () => 'c',
        signal: AbortSignal.timeout(50_000),
      });
    const early = check({}, 'shop.example');
    await delay(300);
    const child = spawn(process.execPath, ['standard.mjs'], {
      cwd: folder,
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
