/** Images that follow their base, in a real server: transitively, parents first, over a crash, with a branch that fails. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Answer } from '../../src/api/contract.ts';
import { Kiln, until } from './kiln.ts';

type Rebakes = Answer<'rebakes.list'>;
type Revoked = Answer<'images.revoke'>;
type Image = Answer<'images.get'>;

const SERVER = `require('node:http').createServer((_, response) => response.end('well')).listen(process.env.PORT, process.env.HOST);
process.on('SIGTERM', () => process.exit(0));
`;

interface Wish {
  readonly base?: string;
  readonly rebake?: string | object;
  readonly channels?: object;
  readonly build?: string;
  readonly text?: string;
}

let kiln: Kiln;
const folder = (component: string): string => path.join(kiln.directory, component);

async function write(
  component: string,
  { base, rebake, channels, build, text = 'one' }: Wish,
): Promise<void> {
  await mkdir(folder(component), { recursive: true });
  const image = {
    run: 'node server.js',
    ...(base && { base }),
    ...(rebake && { rebake }),
    ...(build && { build }),
  };
  const definition = { component, image, service: { stop: { grace: '1s' } }, ...(channels && { channels }) };
  await writeFile(path.join(folder(component), 'kiln.yaml'), JSON.stringify(definition, undefined, 2));
  await writeFile(path.join(folder(component), 'server.js'), SERVER);
  await writeFile(path.join(folder(component), 'text.txt'), text);
}

async function post(route: string, body: object): Promise<void> {
  const answer = await kiln.call('POST', `/api/v1${route}`, body, { prefer: 'wait=60' });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${route} answered ${answer.status}: ${text}`);
}

async function tested(component: string, version: string): Promise<void> {
  await post('/bakes', { directory: folder(component), version });
  await post('/checks', { image: `${component}@${version}` });
}

/** Baked, checked, and held by the channel. */
async function golden(component: string, version: string, channel = 'golden'): Promise<Image> {
  await tested(component, version);
  await post(`/channels/${component}/${channel}`, { image: `${component}@${version}` });
  return image(`${component}@${version}`);
}

const image = async (reference: string): Promise<Image> =>
  (await kiln.call('GET', `/api/v1/images/${reference}`)).json() as Promise<Image>;
const rebakes = async (): Promise<Rebakes> =>
  (await kiln.call('GET', '/api/v1/rebakes')).json() as Promise<Rebakes>;
const stateOf = async (component: string) =>
  (await rebakes()).items.find((item) => item.image.component === component);

async function newBase(version: string): Promise<Image> {
  await write('base', { text: version });
  return golden('base', version);
}

const parentIn = async (component: string): Promise<string | undefined> =>
  (await image(`${component}:golden`)).parent;

describe('images that follow their base', () => {
  beforeAll(async () => {
    kiln = await Kiln.create();
    await kiln.serve();
    await newBase('1.0.0');
    await write('middle', {
      base: 'base@golden',
      rebake: 'on-base-change',
      build: 'sleep 1; echo built > built.txt',
    });
    await golden('middle', '1.0.0');
    await write('leaf', { base: 'middle@golden', rebake: 'on-base-change' });
    await golden('leaf', '1.0.0');
    await write('gone', { base: 'base@golden', rebake: 'on-base-change' });
    await golden('gone', '1.0.0');
    await write('still', { base: 'base@golden' });
    await golden('still', '1.0.0');
    await write('careful', {
      base: 'base@golden',
      rebake: { when: 'on-base-change', promote: ['candidate', 'golden'] },
      channels: { golden: { checks: ['boot'], approvals: 1 } },
    });
    await golden('careful', '1.0.0', 'candidate');
  });
  afterAll(() => kiln?.destroy());

  test('are baked again, checked and promoted, each once, over a crash; others go on without the one that cannot', async () => {
    await rename(folder('gone'), folder('elsewhere'));
    const base = await newBase('2.0.0');
    await until('one is being baked', async () => (await stateOf('middle'))?.running === true);
    await kiln.kill();
    await kiln.serve();
    await until('all that can has followed', settled);
    const [middle, leaf] = [await image('middle:golden'), await image('leaf:golden')];
    expect(middle).toMatchObject({ parent: base.id, tested: true, tags: { 'built-by': 'rebake' } });
    expect(middle.version).toMatch(/^1\.0\.0\+[0-9a-f]{8}$/);
    expect(leaf).toMatchObject({ parent: middle.id, tested: true });
    expect(await parentIn('still')).not.toBe(base.id);
    expect((await image('careful:candidate')).parent).toBe(base.id);
    for (const component of ['middle', 'leaf', 'careful']) {
      const { items } = await kiln.json<{ items: Image[] }>('images', component);
      expect(items.map(({ version }) => version.slice(0, 5))).toEqual(['1.0.0', '1.0.0']);
    }
    expect(await stateOf('gone')).toMatchObject({ state: 'failed', why: expect.stringContaining('is gone') });
    expect((await kiln.run('rebakes')).stdout).toMatch(/gone@1\.0\.0 +base@golden \(2\.0\.0\) +failed/);
  });

  test('one that failed is tried again when somebody asks', async () => {
    await rename(folder('elsewhere'), folder('gone'));
    expect(await kiln.json('rebakes', 'retry', 'gone@1.0.0')).toEqual({ retried: true });
    await until('it has followed', async () => (await rebakes()).items.length === 0);
    expect(await parentIn('gone')).toBe((await image('base:golden')).id);
  });

  test('what a kiln.yaml demands is taken over, and loosened only when somebody says so; a script asks for a digest', async () => {
    const apply = ['channels', 'apply', folder('careful')];
    expect((await kiln.run('promote', 'careful:candidate', 'golden')).stderr).toContain('0 of 1 approvals');
    expect(await kiln.json(...apply)).toEqual({
      component: 'careful',
      changes: [{ channel: 'golden', from: '-', to: 'checks=boot approvals=1' }],
    });
    await write('careful', { base: 'base@golden', channels: { golden: { checks: ['boot', 'smoke'] } } });
    expect(await kiln.run(...apply)).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('1 approvals'),
    });
    expect(await kiln.json(...apply, '--loosen')).toMatchObject({ changes: [{ to: 'checks=boot,smoke' }] });
    const standing = (await kiln.run('channels', 'careful:candidate')).stdout;
    expect(standing).toMatch(
      /golden +checks=boot,smoke +checks=boot approvals=1 +it has had no check of kind smoke/,
    );

    const digest = await kiln.run('images', 'leaf:golden kind=bundle', '--format', '{{digest}}');
    expect(digest).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/) });
    expect((await kiln.run('images', 'leaf:golden kind=machine', '--format', '{{digest}}')).code).toBe(3);
  });

  test('revoking names what runs on it, replaces it by the last good release or else the newest good image; channels go back', async () => {
    const still = await image('still@1.0.0');
    await kiln.json('deploy', 'leaf', 'stage/local', '--image', 'leaf@1.0.0');
    await kiln.json('deploy', 'leaf', 'stage/local', '--image', 'leaf:golden');
    await kiln.json('deploy', 'still', 'stage/local', '--image', still.id);
    await write('still', { text: 'stands on nothing' });
    await tested('still', '1.1.0');
    const [newest, fixed] = [await image('leaf:golden'), await image('still@1.1.0')];

    const named = await kiln.json<Revoked>('revoke', 'base@2.0.0', '--why', 'a hole');
    expect(named.images).toContain(newest.id);
    expect(named.running).toMatchObject([
      { component: 'leaf', environment: 'stage/local', release: 2, image: newest.id, replacement: 1 },
    ]);
    expect((await kiln.run('promote', 'leaf@1.0.0', 'golden', '--expected', still.id)).stderr).toContain(
      '[input.conflict]',
    );
    const replaced = await kiln.json<Revoked>('revoke', still.id, '--replace');
    expect(replaced.images).toEqual([still.id]);
    expect(
      replaced.running.map(({ component, replacement, newer }) => [component, replacement, newer?.id]),
    ).toEqual(
      expect.arrayContaining([
        ['leaf', 1, undefined],
        ['still', undefined, fixed.id],
      ]),
    );
    for (const component of ['leaf', 'still']) {
      const version = component === 'leaf' ? '1.0.0' : '1.1.0';
      await until(`${component} runs ${version}`, async () => (await serving(component)) === version);
    }
    await kiln.json('promote', 'leaf', 'golden', '--back', '--why', 'a hole below');
    expect((await image('leaf:golden')).version).toBe('1.0.0');
    expect((await kiln.run('promote', 'leaf', 'golden', '--back')).stderr).toContain('[rollback.nothing]');
    const tree = (await kiln.run('lineage', 'base@2.0.0')).stdout;
    expect(tree).toMatch(/base@2\.0\.0 .*revoked\n/);
    expect(tree).toMatch(/\n {2}middle@1\.0\.0\+.*revoked\n {4}leaf@1\.0\.0\+.*revoked\n/);
  });
});

async function serving(component: string): Promise<string | undefined> {
  const answer = await kiln.call('GET', `/api/v1/services/${component}/stage/local`);
  const { serving, deployment } = (await answer.json()) as Answer<'services.get'>;
  return deployment === undefined ? serving?.version : undefined;
}

/** Nothing is left that this server could do. */
async function settled(): Promise<boolean> {
  const { items } = await rebakes();
  return items.every(({ state }) => state === 'failed' || state === 'held');
}
