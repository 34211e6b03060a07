/** What the docker target does beyond the contract of all targets, on a real engine. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EngineClient } from '../../src/docker/engine-client.ts';
import { DOCKER_SOCKET, dockerAnswers, NO_DOCKER, runtimeImage } from '../docker.ts';
import { ask, eventually, NEVER, observed, serving, TargetFixture } from './target-fixture.ts';

const FENCE = 1;
const KEEP = { afresh: false };

let fixture: TargetFixture;

describe('no engine', () => {
  beforeEach(async () => {
    const socket = '/nonexistent/docker.sock';
    fixture = await TargetFixture.create({ docker: { socket, runtime: 'runtime' } });
  });
  afterEach(() => fixture.destroy().catch(() => undefined));

  test('a Kiln that never used it finds nothing there, and is told so when it asks for more', async () => {
    const target = await fixture.target();
    expect(await target.services(NEVER)).toEqual([]);
    const unavailable = { code: 'target.unavailable', retryable: true };
    await expect(target.capabilities(NEVER)).rejects.toMatchObject(unavailable);
    const spec = fixture.spec(await fixture.image());
    await expect(target.ensure(spec, FENCE, KEEP, NEVER)).rejects.toMatchObject(unavailable);
    // From now on something of ours may be in the engine: that it cannot be asked is not that there is none.
    await expect(target.services(NEVER)).rejects.toMatchObject(unavailable);
    await target.close();
    const later = await fixture.target();
    await expect(later.observe(spec.group, NEVER)).rejects.toMatchObject(unavailable);
  });
});

if (!dockerAnswers) test.skip(`docker: ${NO_DOCKER}`);

describe.runIf(dockerAnswers)('containers', { timeout: 120_000 }, () => {
  beforeEach(async () => {
    const docker = { socket: DOCKER_SOCKET, runtime: await runtimeImage() };
    fixture = await TargetFixture.create({ docker });
  });
  afterEach(() => fixture.destroy());

  test('outlive the server; the next one adopts them, and learns how those ended that nobody saw end', async () => {
    const first = await fixture.target();
    const lives = fixture.spec(await fixture.image(), { release: 1 });
    const dies = fixture.spec(lives.artifact, {
      release: 2,
      run: 'sleep 1; exit 7',
      process: { listens: false },
    });
    await first.ensure(lives, FENCE, KEEP, NEVER);
    await first.ensure(dies, FENCE, KEEP, NEVER);
    const [before] = await serving(first, lives);
    await first.close();

    await eventually('the other has ended', async () => {
      return (await inspected(dies.group)).every((one) => !one.State.Running);
    });
    const second = await fixture.target();
    const [after] = await serving(second, lives);
    expect(after).toEqual(before);
    if (after === undefined) throw new Error('one was serving');
    expect(await ask(after, '/')).toBe('hello');
    await eventually('its end is known', async () => {
      return (await observed(second, dies)).lastEnd === 'exited with code 7';
    });
    // Output from before the change of servers is there, and so is what comes after.
    await second.remove(lives.group, FENCE, NEVER);
    const lines: string[] = [];
    for await (const { text } of second.logs([lives.group], { tail: 10, follow: false }, NEVER))
      lines.push(text);
    expect(lines).toEqual(['listening on 8080', 'got SIGTERM']);
  });

  test('can write to scratch alone, have no powers to gain, and are reached from this machine alone', async () => {
    const target = await fixture.target();
    const spec = {
      ...fixture.spec(await fixture.image({ 'config/app.json': '' })),
      environment: { DB_URL: 'postgres://db' },
      files: [{ path: 'config/app.json', content: '{"a":1}' }],
    };
    await target.ensure(spec, FENCE, KEEP, NEVER);
    const [instance] = await serving(target, spec);
    if (instance === undefined) throw new Error('one was serving');
    const write = (file: string) => ask(instance, '/write', { file, text: 'x' });
    for (const file of ['/etc/passwd', '/app/web.js', '/app/config/app.json', '/new']) {
      expect(await write(file)).toBe('failed: EROFS');
    }
    for (const file of ['/tmp/x', '/scratch/x', '/run/x']) expect(await write(file)).toBe('written');
    expect(await ask(instance, '/read', { file: 'config/app.json' })).toBe('{"a":1}');
    const status = String(await ask(instance, '/read', { file: '/proc/1/status' }));
    expect(status).toMatch(/NoNewPrivs:\s1/);
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE.
    expect(status).toMatch(/CapBnd:\s0{13}4fb/);
    const environment = z.record(z.string(), z.string()).parse(await ask(instance, '/env'));
    expect(environment).toMatchObject({ DB_URL: 'postgres://db', PORT: '8080', KILN_INSTANCE: instance.id });
    expect(JSON.stringify(environment)).not.toContain(fixture.directory);
    const [container] = await inspected(spec.group);
    expect(Object.values(container?.NetworkSettings.Ports ?? {}).flat()).toEqual([
      { HostIp: '127.0.0.1', HostPort: new URL(instance.url).port },
    ]);
  });

  test('a program or a runtime that is not there is named, and nothing is left of it', async () => {
    const target = await fixture.target();
    const artifact = await fixture.image();
    const unknown = { ...fixture.spec(artifact), runtime: 'no-such-runtime:1' };
    await expect(target.ensure(unknown, FENCE, KEEP, NEVER)).rejects.toMatchObject({
      code: 'target.unsupported',
      message: expect.stringContaining('no-such-runtime:1'),
    });
    const { runtime: _, ...without } = fixture.spec(artifact);
    await expect(target.ensure(without, FENCE, KEEP, NEVER)).rejects.toMatchObject({
      code: 'target.unsupported',
      next: expect.stringContaining('image: {runtime:'),
    });
    expect(await target.services(NEVER)).toEqual([]);
    const missing = fixture.spec(artifact, { run: './no-such-program', process: { listens: false } });
    await target.ensure(missing, FENCE, KEEP, NEVER);
    await eventually('it is bad', async () => (await observed(target, missing)).health.kind === 'bad');
  });

  test('all instances of a group run in the runtime that the first one found', async () => {
    const target = await fixture.target();
    const spec = fixture.spec(await fixture.image());
    await target.ensure(spec, FENCE, KEEP, NEVER);
    await serving(target, spec);
    const chosen = await readFile(path.join(fixture.state, 'targets/docker/runtimes', spec.group), 'utf8');
    expect(chosen).toMatch(/^sha256:[0-9a-f]{64}$/);
    await target.ensure({ ...spec, desired: 2, runtime: 'moved-on:2' }, FENCE, KEEP, NEVER);
    await serving(target, spec, 2);
    expect((await inspected(spec.group)).map((one) => one.Image)).toEqual([chosen, chosen]);
  });

  async function inspected(group: string): Promise<readonly z.output<typeof containerShape>[]> {
    const engine = new EngineClient(DOCKER_SOCKET);
    try {
      const request = { method: 'GET', signal: NEVER } as const;
      const list = z.array(z.object({ Id: z.string(), Names: z.array(z.string()) }));
      const all = await engine.json(list, { ...request, path: '/containers/json', query: { all: '1' } });
      const mine = all.filter(({ Names }) => Names.some((name) => name.startsWith(`/${group}-`)));
      return await Promise.all(
        mine.map(({ Id }) => engine.json(containerShape, { ...request, path: `/containers/${Id}/json` })),
      );
    } finally {
      engine.close();
    }
  }
});

const containerShape = z.object({
  Image: z.string(),
  State: z.object({ Running: z.boolean() }),
  NetworkSettings: z.object({
    Ports: z.record(z.string(), z.array(z.object({ HostIp: z.string(), HostPort: z.string() })).nullable()),
  }),
});
