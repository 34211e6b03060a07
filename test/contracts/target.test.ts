/** What every target must do, run against each. Targets that an optional tool is needed for say so when skipped. */
import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KilnError } from '../../src/domain/errors.ts';
import type { Target } from '../../src/domain/ports/target.ts';
import { TARGETS } from '../../src/targets/registry.ts';
import { DOCKER_SOCKET, dockerAnswers, NO_DOCKER, runtimeImage } from '../docker.ts';
import {
  ask,
  eventually,
  type FixtureOptions,
  NEVER,
  observed,
  serving,
  TargetFixture,
} from './target-fixture.ts';

const LOCAL = [
  { name: 'local, as isolated as it gets here', options: async (): Promise<FixtureOptions> => ({}) },
  { name: 'local, without a sandbox', options: async (): Promise<FixtureOptions> => ({ isolation: 'none' }) },
];
const DOCKER = {
  name: 'docker',
  options: async (): Promise<FixtureOptions> => ({
    docker: { socket: DOCKER_SOCKET, runtime: await runtimeImage() },
  }),
};
const VARIANTS = dockerAnswers ? [...LOCAL, DOCKER] : LOCAL;

const FENCE = 1;
const KEEP = { afresh: false };

test('the registry names exactly the folders, and each has the same files', async () => {
  const folder = new URL('../../src/targets/', import.meta.url);
  const entries = await readdir(folder, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  expect(Object.keys(TARGETS).sort()).toEqual(folders.sort());
  for (const name of folders) {
    expect(await readdir(new URL(`${name}/`, folder))).toEqual(
      expect.arrayContaining(['target.ts', 'engine.ts']),
    );
  }
});

if (!dockerAnswers) test.skip(`docker: ${NO_DOCKER}`);

describe.for(VARIANTS)('$name', { timeout: 120_000 }, ({ options }) => {
  let fixture: TargetFixture;
  let target: Target;

  beforeEach(async () => {
    fixture = await TargetFixture.create(await options());
    target = await fixture.target();
  });
  afterEach(() => fixture.destroy());

  test('starts what is wanted, and gives endpoints that answer', async () => {
    const spec = fixture.spec(await fixture.image(), { desired: 3 });
    await target.ensure(spec, FENCE, KEEP, NEVER);
    const instances = await serving(target, spec, 3);
    for (const instance of instances) expect(await ask(instance, '/')).toBe('hello');
    expect(new Set(instances.map(({ url }) => url)).size).toBe(3);
    const { instances: views, health } = await observed(target, spec);
    expect(views.map((view) => view.ordinal)).toEqual([0, 1, 2]);
    expect(health).toEqual({ kind: 'steady' });
    expect(await target.groups(spec.service, NEVER)).toEqual([spec.group]);
    expect(await target.services(NEVER)).toEqual([spec.service]);
  });

  test('asked again for the same it starts nothing; asked for more it starts the difference', async () => {
    const spec = fixture.spec(await fixture.image(), { desired: 1 });
    await target.ensure(spec, FENCE, KEEP, NEVER);
    const [first] = await serving(target, spec, 1);
    await target.ensure(spec, FENCE, KEEP, NEVER);
    expect((await observed(target, spec)).instances.map((view) => view.id)).toEqual([first?.id]);
    await target.ensure({ ...spec, desired: 2 }, FENCE, KEEP, NEVER);
    const two = await serving(target, spec, 2);
    expect(two.map(({ id }) => id)).toContain(first?.id);
  });

  test('fewer wanted stops nothing by itself; what is retired is stopped', async () => {
    const spec = fixture.spec(await fixture.image(), { desired: 2 });
    await target.ensure(spec, FENCE, KEEP, NEVER);
    const [keep, go] = await serving(target, spec, 2);
    await target.ensure({ ...spec, desired: 1 }, FENCE, KEEP, NEVER);
    expect((await observed(target, spec)).instances).toHaveLength(2);
    if (go === undefined || keep === undefined) throw new Error('two were serving');
    await target.ensure({ ...spec, desired: 1, retire: [go.id] }, FENCE, KEEP, NEVER);
    await eventually('only the other is left', async () => {
      const { instances } = await observed(target, spec);
      return instances.length === 1 && instances[0]?.id === keep.id;
    });
    expect(await ask(keep, '/')).toBe('hello');
  });

  test('a replaced instance is followed by another in its place', async () => {
    const spec = fixture.spec(await fixture.image(), { desired: 1 });
    await target.ensure(spec, FENCE, KEEP, NEVER);
    const [first] = await serving(target, spec, 1);
    if (first === undefined) throw new Error('one was serving');
    await target.replace(first.id, FENCE, NEVER);
    await eventually('another serves', async () => {
      const { instances } = await observed(target, spec);
      const [only] = instances;
      const serves = only?.phase.kind === 'running' && only.phase.endpoint !== undefined;
      return instances.length === 1 && only?.id !== first.id && serves;
    });
    await target.replace(first.id, FENCE, NEVER); // Gone already: nothing happens.
    expect((await observed(target, spec)).instances).toHaveLength(1);
  });

  test('removed it is gone, and removing again is nothing', async () => {
    const spec = fixture.spec(await fixture.image(), { desired: 2 });
    await target.ensure(spec, FENCE, KEEP, NEVER);
    const [one] = await serving(target, spec, 2);
    await target.remove(spec.group, FENCE, NEVER);
    expect(await target.observe(spec.group, NEVER)).toBeUndefined();
    expect(await target.services(NEVER)).toEqual([]);
    await expect(fetch(`${one?.url}/`)).rejects.toThrow();
    await target.remove(spec.group, FENCE, NEVER);
  });

  test('an older fence is refused by whatever changes something', async () => {
    const spec = fixture.spec(await fixture.image());
    await target.ensure(spec, 5, KEEP, NEVER);
    const stale = { code: 'fence.stale' };
    const [instance] = (await observed(target, spec)).instances;
    await expect(target.ensure(spec, 4, KEEP, NEVER)).rejects.toMatchObject(stale);
    await expect(target.remove(spec.group, 4, NEVER)).rejects.toMatchObject(stale);
    await expect(target.runOnce(spec, 'true', 'k', 4, 5_000, NEVER)).rejects.toMatchObject(stale);
    if (instance === undefined) throw new Error('one was started');
    await expect(target.replace(instance.id, 4, NEVER)).rejects.toMatchObject(stale);
    await target.close();
    const later = await fixture.target();
    await expect(later.ensure(spec, 4, KEEP, NEVER)).rejects.toMatchObject(stale);
    await later.ensure(spec, 5, KEEP, NEVER);
  });

  test('what cannot stay up is named bad, not restarted for ever, and starts again only afresh', async () => {
    const spec = fixture.spec(await fixture.image(), {
      run: 'echo no luck; exit 3',
      process: { listens: false },
    });
    await target.ensure(spec, FENCE, KEEP, NEVER);
    const why = await eventually('bad', async () => {
      const { health } = await observed(target, spec);
      return health.kind === 'bad' && health.why;
    });
    expect(why).toContain('exited with code 3');
    const { instances } = await observed(target, spec);
    expect(instances.map((view) => view.phase)).toEqual([{ kind: 'exited', exitCode: 3, signal: null }]);
    await target.ensure(spec, FENCE, KEEP, NEVER);
    expect((await observed(target, spec)).health.kind).toBe('bad');
    await target.ensure(spec, FENCE, { afresh: true }, NEVER);
    expect((await observed(target, spec)).health.kind).not.toBe('bad');
  });

  test('one command runs once for its key, however often it is asked for', async () => {
    const volumes = [{ name: 'data', path: 'data', shared: true }];
    const spec = fixture.spec(await fixture.image(), { process: { volumes } });
    const command = 'echo run >> data/runs; cat data/runs; sleep 0.3; exit 4';
    const both = await Promise.all([
      target.runOnce(spec, command, 'migrate v1', FENCE, 20_000, NEVER),
      target.runOnce(spec, command, 'migrate v1', FENCE, 20_000, NEVER),
    ]);
    const again = await target.runOnce(spec, command, 'migrate v1', FENCE, 20_000, NEVER);
    for (const result of [...both, again]) expect(result).toEqual({ exitCode: 4, logTail: ['run'] });
    const other = await target.runOnce(spec, command, 'migrate v2', FENCE, 20_000, NEVER);
    expect(other.logTail).toEqual(['run', 'run']);
  });

  test('a run that takes too long is stopped, and stays so', async () => {
    const spec = fixture.spec(await fixture.image());
    const run = () => target.runOnce(spec, 'sleep 600', 'slow', FENCE, 300, NEVER);
    await expect(run()).rejects.toMatchObject({ code: 'timeout' });
    await expect(run()).rejects.toBeInstanceOf(KilnError);
    expect(await target.groups(spec.service, NEVER)).toEqual([]);
  });

  test('a volume outlives its groups; a second holder of one that is not shared is refused', async () => {
    const volumes = [{ name: 'data', path: 'var/data', shared: false }];
    const artifact = await fixture.image();
    const old = fixture.spec(artifact, { release: 1, process: { volumes } });
    const young = fixture.spec(artifact, { release: 2, process: { volumes } });
    await target.ensure(old, FENCE, KEEP, NEVER);
    const [first] = await serving(target, old);
    if (first === undefined) throw new Error('one was serving');
    expect(await ask(first, '/write', { file: 'var/data/kept', text: 'precious' })).toBe('written');
    await expect(target.ensure(young, FENCE, KEEP, NEVER)).rejects.toMatchObject({ code: 'volume.busy' });
    await expect(target.ensure({ ...old, desired: 2 }, FENCE, KEEP, NEVER)).rejects.toMatchObject({
      code: 'volume.busy',
    });
    await target.remove(old.group, FENCE, NEVER);
    await target.ensure(young, FENCE, KEEP, NEVER);
    const [second] = await serving(target, young);
    if (second === undefined) throw new Error('one was serving');
    expect(await ask(second, '/read', { file: 'var/data/kept' })).toBe('precious');
    await expect(target.removeVolumes(young.service, FENCE, NEVER)).rejects.toMatchObject({
      code: 'volume.busy',
    });
    await target.remove(young.group, FENCE, NEVER);
    await target.removeVolumes(young.service, FENCE, NEVER);
    await target.ensure(old, FENCE, KEEP, NEVER);
    const [third] = await serving(target, old);
    if (third === undefined) throw new Error('one was serving');
    expect(await ask(third, '/read', { file: 'var/data/kept' })).toBe('failed: ENOENT');
  });

  test('changes are hinted at', async () => {
    const spec = fixture.spec(await fixture.image());
    const hinted: string[] = [];
    const forget = target.onChange((group) => hinted.push(group));
    await target.ensure(spec, FENCE, KEEP, NEVER);
    await eventually('a hint', async () => hinted.includes(spec.group));
    forget();
  });

  test('logs show the tail, go on while following, and tell why an instance died', async () => {
    const run = 'for i in 1 2 3 4 5; do echo line $i; done; sleep 0.5; echo grüße; exec sleep 600';
    const spec = fixture.spec(await fixture.image(), { run, process: { listens: false } });
    await target.ensure(spec, FENCE, KEEP, NEVER);
    const stop = new AbortController();
    const seen: string[] = [];
    for await (const line of target.logs([spec.group], { tail: 100, follow: true }, stop.signal)) {
      seen.push(line.text);
      if (line.text === 'grüße') stop.abort();
    }
    expect(seen).toEqual(['line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'grüße']);
    await target.remove(spec.group, FENCE, NEVER);
    const kept: string[] = [];
    for await (const line of target.logs([spec.group], { tail: 2, follow: false }, NEVER))
      kept.push(line.text);
    expect(kept).toEqual(['line 5', 'grüße']);
  });

  test('a call with an aborted signal does nothing', async () => {
    const spec = fixture.spec(await fixture.image());
    await expect(target.ensure(spec, FENCE, KEEP, AbortSignal.abort())).rejects.toThrow();
    expect(await target.observe(spec.group, NEVER)).toBeUndefined();
  });
});
