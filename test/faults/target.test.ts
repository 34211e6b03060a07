/** What must hold when servers, processes and the machine misbehave. With real processes, with and without a sandbox. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Digest, InstanceId } from '../../src/domain/ids.ts';
import type { Target } from '../../src/domain/ports/target.ts';
import {
  ask,
  eventually,
  groupSpec,
  markedProcesses,
  NEVER,
  observed,
  serving,
  TargetFixture,
  TEST_COMPONENT,
} from '../contracts/target-fixture.ts';
import { killQuietly } from '../kill-quietly.ts';

const SERVER = fileURLToPath(new URL('target-server.ts', import.meta.url));
const VARIANTS = [
  { name: 'with a sandbox where there is one', options: {} },
  { name: 'without a sandbox', options: { isolation: 'none' } },
] as const;
const KEEP = { afresh: false };
const PATIENT = { signals: ['SIGTERM', 'SIGKILL'], graceMs: 20_000 } as const;

describe.each(VARIANTS)('$name', ({ options }) => {
  let fixture: TargetFixture;
  const servers: ChildProcess[] = [];

  beforeEach(async () => {
    fixture = await TargetFixture.create(options);
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) server.kill('SIGKILL');
    await fixture.destroy();
  });

  /** Starts a server of its own that does the act, and resolves once it has. */
  async function serverDoes(what: {
    readonly artifact: Digest;
    readonly run: string;
    readonly listens?: boolean;
    readonly act?: 'run';
  }): Promise<ChildProcess> {
    const request = JSON.stringify({ directory: fixture.directory, ...options, ...what });
    const server = spawn(process.execPath, [SERVER, request], { stdio: ['ignore', 'pipe', 'inherit'] });
    servers.push(server);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.stdout?.on('data', (chunk: Buffer) => chunk.includes('ready') && resolve());
    server.once('exit', () => reject(new Error('the server ended')));
    await promise;
    return server;
  }

  async function killed(server: ChildProcess): Promise<void> {
    server.removeAllListeners('exit');
    const { promise, resolve } = Promise.withResolvers<void>();
    server.once('exit', () => resolve());
    server.kill('SIGKILL');
    await promise;
  }

  function instanceFile(id: InstanceId, name: string): string {
    return path.join(fixture.state, 'targets/local/instances', id, name);
  }

  function writtenDown(id: InstanceId): Promise<boolean> {
    return eventually('its processes are on disk', async () => existsSync(instanceFile(id, 'process.json')));
  }

  test('instances outlive a killed server, and the next one adopts them', async () => {
    const artifact = await fixture.image();
    const server = await serverDoes({ artifact, run: 'node web.js', listens: true });
    await killed(server);
    const spec = groupSpec(artifact);
    const target = await fixture.target();
    const [instance] = await serving(target, spec);
    if (instance === undefined) throw new Error('one was serving');
    expect(await ask(instance, '/')).toBe('hello');
    const [mark] = await markedProcesses(`KILN_INSTANCE=${instance.id}`);
    expect(mark).toBeGreaterThan(1);
    await target.ensure(spec, 1, KEEP, NEVER);
    expect((await serving(target, spec))[0]).toEqual(instance);
    await target.remove(spec.group, 1, NEVER);
    expect(await markedProcesses(`KILN_INSTANCE=${instance.id}`)).toEqual([]);
  });

  test('an instance whose server died before it wrote down its processes is found by its mark', async () => {
    const artifact = await fixture.image();
    const server = await serverDoes({ artifact, run: 'node web.js', listens: true });
    await killed(server);
    const [id] = readdirSync(path.join(fixture.state, 'targets/local/instances'));
    // It may not have been written yet.
    await rm(instanceFile(id as InstanceId, 'process.json'), { force: true });
    const target = await fixture.target();
    const [instance] = await serving(target, groupSpec(artifact));
    expect(instance?.id).toBe(id);
  });

  test('a server killed at any moment of starting leaves nothing that the next one does not know', async () => {
    const artifact = await fixture.image();
    const spec = groupSpec(artifact);
    for (let kill = 0; kill < 12; kill += 1) {
      const request = {
        directory: fixture.directory,
        ...options,
        artifact,
        run: 'node web.js',
        listens: true,
      };
      const server = spawn(process.execPath, [SERVER, JSON.stringify(request)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      servers.push(server);
      const state = path.join(fixture.state, 'targets/local/groups');
      // Loading the program takes most of its life: the clock starts when it begins to act.
      await eventually('it acts', async () => existsSync(state));
      await sleep(Math.random() * 60);
      await killed(server);
      const target = await fixture.target();
      await target.ensure(spec, 1, KEEP, NEVER);
      const [instance] = await serving(target, spec);
      const marks = await markedProcesses(`KILN_SERVER_GROUP=${TEST_COMPONENT}-`);
      expect(marks).toEqual(await markedProcesses(`KILN_INSTANCE=${instance?.id}`));
      await target.remove(spec.group, 1, NEVER);
      expect(await markedProcesses(`KILN_SERVER_GROUP=${TEST_COMPONENT}-`)).toEqual([]);
      expect(await readdir(path.join(fixture.state, 'targets/local/instances'))).toEqual([]);
      await target.close();
      await rm(path.join(fixture.state, 'targets'), { recursive: true });
    }
  });

  test('how an instance ended while no server was there is learned afterwards', async () => {
    const artifact = await fixture.image();
    const server = await serverDoes({ artifact, run: 'sleep 1; exit 7', listens: false });
    await killed(server);
    await eventually(
      'it has ended',
      async () => (await markedProcesses(`KILN_SERVER_GROUP=${TEST_COMPONENT}-`)).length === 0,
    );
    const target = await fixture.target();
    const spec = groupSpec(artifact, { run: 'sleep 1; exit 7', process: { listens: false } });
    // The replacement comes at once, so that the first end is seen only in what backs off after it.
    const why = await eventually('the end is known', async () => {
      const { health } = await observed(target, spec);
      return health.kind === 'backing-off' && health.why;
    });
    expect(why).toBe('exited with code 7');
  });

  test('a pid that another process has taken over is not adopted', async () => {
    const artifact = await fixture.image();
    const server = await serverDoes({ artifact, run: 'exec sleep 600', listens: false });
    const [id] = readdirSync(path.join(fixture.state, 'targets/local/instances'));
    await writtenDown(id as InstanceId);
    await killed(server);
    const file = instanceFile(id as InstanceId, 'process.json');
    const processes = JSON.parse(readFileSync(file, 'utf8'));
    // One of them ends the others with it.
    for (const pid of await markedProcesses(`KILN_INSTANCE=${id}`)) killQuietly(pid, 'SIGKILL');
    await eventually('it is gone', async () => (await markedProcesses(`KILN_INSTANCE=${id}`)).length === 0);
    // A bystander now has the pid, but of course another start time.
    const bystander = spawn('sleep', ['600']);
    const taken = { ...processes.main, pid: bystander.pid };
    const init = processes.init === undefined ? {} : { init: { ...processes.init, pid: bystander.pid } };
    writeFileSync(
      file,
      JSON.stringify({ runner: { ...processes.runner, pid: bystander.pid }, main: taken, ...init }),
    );
    writeFileSync(instanceFile(id as InstanceId, 'status.jsonl'), `{ "child-pid": ${bystander.pid} }\n`);
    const target = await fixture.target();
    const spec = groupSpec(artifact, { run: 'exec sleep 600', process: { listens: false } });
    await eventually('another is started', async () => {
      const { instances } = await observed(target, spec);
      return instances.length === 1 && instances[0]?.id !== id && instances[0]?.phase.kind === 'running';
    });
    await target.remove(spec.group, 1, NEVER);
    expect(bystander.exitCode).toBeNull();
    expect(bystander.kill(0)).toBe(true);
    bystander.kill('SIGKILL');
  });

  test('a zombie is not taken for a living instance', async () => {
    const artifact = await fixture.image();
    const server = await serverDoes({ artifact, run: 'exec sleep 600', listens: false });
    const [id] = readdirSync(path.join(fixture.state, 'targets/local/instances'));
    await writtenDown(id as InstanceId);
    // Stopped, the server reaps nothing: its dead children stay as zombies that answer to a signal.
    server.kill('SIGSTOP');
    const { runner, main } = JSON.parse(readFileSync(instanceFile(id as InstanceId, 'process.json'), 'utf8'));
    process.kill(main.pid, 'SIGKILL');
    await eventually('the runner is a zombie', async () =>
      / Z /.test(await readFile(`/proc/${runner.pid}/stat`, 'utf8')),
    );
    expect(process.kill(runner.pid, 0)).toBe(true);
    const target = await fixture.target();
    const spec = groupSpec(artifact, { run: 'exec sleep 600', process: { listens: false } });
    await eventually('another runs in its place', async () => {
      const { instances } = await observed(target, spec);
      return instances.length === 1 && instances[0]?.id !== id && instances[0]?.phase.kind === 'running';
    });
  });

  test('a killed instance is replaced, and its whole tree goes with it', async () => {
    const target = await fixture.target();
    const run = 'setsid sleep 601 & (setsid sh -c "sleep 602 & sleep 603") & exec node web.js';
    const spec = groupSpec(await fixture.image(), { run });
    await target.ensure(spec, 1, KEEP, NEVER);
    const [first] = await serving(target, spec);
    if (first === undefined) throw new Error('one was serving');
    const tree = async () => (await markedProcesses(`KILN_INSTANCE=${first.id}`)).length;
    expect(await tree()).toBeGreaterThanOrEqual(5);
    const { main } = JSON.parse(readFileSync(instanceFile(first.id, 'process.json'), 'utf8'));
    process.kill(main.pid, 'SIGKILL');
    await eventually('another serves', async () => {
      const { instances } = await observed(target, spec);
      return (
        instances.length === 1 && instances[0]?.id !== first.id && instances[0]?.phase.kind === 'running'
      );
    });
    expect(await tree()).toBe(0);
  });

  test('stopping asks first, and reaches grandchildren that called setsid', async () => {
    const target = await fixture.target();
    const grandchild =
      "trap 'echo grandchild heard; exit 0' TERM; echo both listen; while :; do sleep 0.05; done";
    const run = `trap 'echo parent heard; wait; exit 0' TERM; setsid sh grandchild.sh & while :; do sleep 0.05; done`;
    const artifact = await fixture.image({ 'grandchild.sh': grandchild });
    const spec = groupSpec(artifact, { run, process: { listens: false, stop: PATIENT } });
    await target.ensure(spec, 1, KEEP, NEVER);
    await eventually('both listen', async () => (await heard(target, spec.group)).length > 0);
    await target.remove(spec.group, 1, NEVER);
    expect(await markedProcesses(`KILN_SERVER_GROUP=${spec.group}`)).toEqual([]);
    expect((await heard(target, spec.group)).sort()).toEqual([
      'both listen',
      'grandchild heard',
      'parent heard',
    ]);
  });

  test('signals come in order, each with its share of the grace', async () => {
    const target = await fixture.target();
    const run = `trap 'echo heard TERM' TERM; trap 'echo heard INT' INT; echo listens; while :; do sleep 0.05; done`;
    const stop = { signals: ['SIGTERM', 'SIGINT', 'SIGKILL'], graceMs: 600 } as const;
    const spec = groupSpec(await fixture.image(), { run, process: { listens: false, stop } });
    await target.ensure(spec, 1, KEEP, NEVER);
    await eventually('it listens', async () => (await heard(target, spec.group)).length > 0);
    await target.remove(spec.group, 1, NEVER);
    expect(await heard(target, spec.group)).toEqual(['listens', 'heard TERM', 'heard INT']);
  });

  test('a removal that the server did not live to end is ended by the next one', async () => {
    const target = await fixture.target();
    const run = `trap '' TERM; echo ready > data/ready; while :; do sleep 0.05; done`;
    const stop = { signals: ['SIGTERM', 'SIGKILL'], graceMs: 3_000 } as const;
    const volumes = [{ name: 'data', path: 'data', shared: true }];
    const spec = groupSpec(await fixture.image(), { run, process: { listens: false, stop, volumes } });
    await target.ensure(spec, 1, KEEP, NEVER);
    const ready = path.join(fixture.state, `targets/local/volumes/${TEST_COMPONENT}@stage.local/data/ready`);
    await eventually('it is deaf', async () => existsSync(ready));
    const giveUp = new AbortController();
    const removal = target.remove(spec.group, 1, giveUp.signal);
    giveUp.abort(new Error('enough'));
    await expect(removal).rejects.toThrow('enough');
    await eventually(
      'it is going',
      async () => (await observed(target, spec)).instances[0]?.phase.kind === 'stopping',
    );
    await target.close();
    expect((await markedProcesses(`KILN_SERVER_GROUP=${TEST_COMPONENT}-`)).length).toBeGreaterThan(0);
    const next = await fixture.target();
    await eventually('it is gone', async () => (await next.observe(spec.group, NEVER)) === undefined);
    expect(await markedProcesses(`KILN_SERVER_GROUP=${TEST_COMPONENT}-`)).toEqual([]);
  });

  test('a port that somebody else listens on never becomes an endpoint', async () => {
    const target = await fixture.target();
    // It waits until the test has taken its port, and then lives on without listening.
    const run = 'echo $PORT > data/port; exec sleep 600';
    const volumes = [{ name: 'data', path: 'data', shared: true }];
    const spec = groupSpec(await fixture.image(), { run, process: { volumes } });
    await target.ensure(spec, 1, KEEP, NEVER);
    const file = path.join(fixture.state, `targets/local/volumes/${TEST_COMPONENT}@stage.local/data/port`);
    const port = await eventually(
      'its port',
      async () => existsSync(file) && Number(readFileSync(file, 'utf8')),
    );
    const [first] = (await observed(target, spec)).instances;
    const thief = createServer();
    await new Promise<void>((resolve) => thief.listen(port, '0.0.0.0', resolve));
    try {
      await eventually('another with another port', async () => {
        const { instances } = await observed(target, spec);
        for (const { phase } of instances)
          if (phase.kind === 'running') expect(phase.endpoint).toBeUndefined();
        return (
          instances.length === 1 &&
          instances[0]?.id !== first?.id &&
          Number(readFileSync(file, 'utf8')) !== port
        );
      });
      const { health } = await observed(target, spec);
      expect(health.kind).not.toBe('bad');
    } finally {
      thief.close();
    }
  });

  test('a run whose server was killed is joined by the next one', async () => {
    const artifact = await fixture.image();
    const run = 'echo once; sleep 1; exit 5';
    const server = await serverDoes({ artifact, run, act: 'run' });
    await eventually(
      'it runs',
      async () => (await markedProcesses(`KILN_SERVER_GROUP=${TEST_COMPONENT}-`)).length > 0,
    );
    await killed(server);
    const target = await fixture.target();
    const spec = groupSpec(artifact, { run });
    const result = await target.runOnce(spec, run, 'the run', 1, 60_000, NEVER);
    expect(result).toEqual({ exitCode: 5, logTail: ['once'] });
  });

  test('a run whose end nobody saw is unknown, and never run again', async () => {
    const artifact = await fixture.image();
    const run = 'exec sleep 600';
    const server = await serverDoes({ artifact, run, act: 'run' });
    await eventually(
      'it runs',
      async () => (await markedProcesses(`KILN_SERVER_GROUP=${TEST_COMPONENT}-`)).length > 1,
    );
    await killed(server);
    // As when the machine goes down: all is gone at once, and nothing was written.
    const [id] = readdirSync(path.join(fixture.state, 'targets/local/instances'));
    for (const pid of [...(await markedProcesses(`KILN_INSTANCE=${id}`))].sort((a, b) => a - b)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It went with the one before.
      }
    }
    const target = await fixture.target();
    const again = () => target.runOnce(groupSpec(artifact), run, 'the run', 1, 60_000, NEVER);
    const unknown = { code: 'migrate.failed', details: { outcome: 'unknown' } };
    await expect(again()).rejects.toMatchObject(unknown);
    await expect(again()).rejects.toMatchObject(unknown);
    expect(await markedProcesses(`KILN_SERVER_GROUP=${TEST_COMPONENT}-`)).toEqual([]);
  });

  test('a full disk is named, leaves no half image, and is no obstacle once there is room', async () => {
    const spec = groupSpec(await fixture.image());
    const target = await fixture.target({
      unpack: async (_, to) => {
        writeFileSync(path.join(to, 'half'), 'x');
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      },
    });
    await expect(target.ensure(spec, 1, KEEP, NEVER)).rejects.toMatchObject({ code: 'disk.full' });
    expect(await readdir(path.join(fixture.state, 'targets/local/images'))).toEqual([]);
    expect(await target.observe(spec.group, NEVER)).toBeUndefined();
    await target.close();
    const later = await fixture.target();
    await later.ensure(spec, 1, KEEP, NEVER);
    expect(await serving(later, spec)).toHaveLength(1);
  });

  test('the environment is clean and its own', async () => {
    const target = await fixture.target();
    const environment = { DB_URL: 'postgres://db', PORT: '1' };
    const spec = groupSpec(await fixture.image(), { spec: { environment } });
    await target.ensure(spec, 1, KEEP, NEVER);
    const [instance] = await serving(target, spec);
    if (instance === undefined) throw new Error('one was serving');
    const seen = Object(await ask(instance, '/env'));
    expect(
      Object.keys(seen)
        .filter((name) => name !== 'PWD' && name !== 'OLDPWD' && name !== '_')
        .sort(),
    ).toEqual(
      [
        ...['DB_URL', 'HOME', 'HOST', 'LANG', 'PATH', 'PORT', 'TMPDIR'],
        ...['COMPONENT', 'ENVIRONMENT', 'INSTANCE', 'PROCESS', 'RELEASE', 'SERVER_GROUP', 'VERSION'].map(
          (name) => `KILN_${name}`,
        ),
      ].sort(),
    );
    expect(seen).toMatchObject({
      PORT: new URL(instance.url).port,
      HOST: '127.0.0.1',
      DB_URL: 'postgres://db',
    });
    expect(seen).toMatchObject({ KILN_INSTANCE: instance.id, KILN_ENVIRONMENT: 'stage/local' });
    for (const place of [seen.HOME, seen.TMPDIR]) {
      expect(await ask(instance, '/write', { file: `${place}/note`, text: 'x' })).toBe('written');
    }
  });

  test('after removal nothing is left but volumes, recent logs and the image', async () => {
    const target = await fixture.target();
    const volumes = [{ name: 'data', path: 'data', shared: true }];
    const files = [{ path: 'config/app.json', content: '{"a":1}' }];
    const spec = groupSpec(await fixture.image(), { process: { volumes }, spec: { files } });
    await target.ensure(spec, 1, KEEP, NEVER);
    const [instance] = await serving(target, spec);
    if (instance === undefined) throw new Error('one was serving');
    expect(await ask(instance, '/read', { file: 'config/app.json' })).toBe('{"a":1}');
    await target.remove(spec.group, 1, NEVER);
    const root = path.join(fixture.state, 'targets/local');
    for (const folder of ['instances', 'groups', 'views']) {
      expect(existsSync(path.join(root, folder)) ? await readdir(path.join(root, folder)) : []).toEqual([]);
    }
    expect(await readdir(path.join(root, `logs/${TEST_COMPONENT}@stage.local`))).toEqual([instance.id]);
    expect(await markedProcesses(`KILN_INSTANCE=${instance.id}`)).toEqual([]);
  });
});

/** What the group's programs heard; a shell may say more of what a signal did to its children. */
async function heard(target: Target, group: Parameters<Target['observe']>[0]): Promise<string[]> {
  const found: string[] = [];
  for await (const line of target.logs([group], { tail: 1_000, follow: false }, NEVER)) found.push(line.text);
  return found.filter((text) => /heard|listens?\b/.test(text));
}
