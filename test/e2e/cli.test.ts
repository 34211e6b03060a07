/** The command line as people meet it: real processes, the real launcher, a real server. */
import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Kiln, ROOT, until } from './kiln.ts';

const LAUNCHER = path.join(ROOT, 'bin/kiln');

let kiln: Kiln;
let app: string;
beforeAll(async () => {
  kiln = await Kiln.create();
  app = await kiln.example('storefront');
});
afterAll(() => kiln.destroy());

interface Up {
  changed: boolean;
  serverStarted: boolean;
  version: string;
  services: { environment: string; urls: string[]; curl: string[] }[];
}

describe('kiln up', () => {
  test('starts a server, brings the folder to live traffic, and prints where it is', async () => {
    const up = await kiln.json<Up>('up', app);
    expect(up).toMatchObject({ changed: true, serverStarted: true });
    expect(up.services.map((service) => service.environment)).toEqual(['stage/local', 'live/local']);
    expect(up.services[1]?.urls[0]).toMatch(/^http:\/\/storefront\.live\.localhost:\d+\/$/);
    expect(up.services[1]?.curl[0]).toContain("-H 'Host: storefront.live.localhost'");
    expect((await kiln.ask('storefront.live.localhost')).status).toBe(200);
  });

  test('changes nothing when nothing changed, and says so', async () => {
    const revision = await newestRevision();
    const again = await kiln.run('up', app);
    expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining('nothing to do') });
    expect(again.stderr).not.toContain('✓');
    const newer = (await kiln.json<{ items: { action: string }[] }>('audit', '--limit', '5')).items;
    // The bake that found nothing changed is all that is recorded.
    expect((await newestRevision()) - revision).toBe(1);
    expect(newer[0]?.action).toBe('bake.start');
  });
});

describe('answers and exit codes', () => {
  test('every reading verb answers one JSON document', async () => {
    expect(await kiln.json('status', 'storefront', 'live/local')).toMatchObject({
      items: [{ verdict: 'serving' }],
    });
    expect(await kiln.json('images')).toMatchObject({ items: [{ component: 'storefront', tested: true }] });
    expect(await kiln.json('releases', 'storefront')).toMatchObject({
      items: [{ number: 1 }, { number: 1 }],
    });
    expect(await kiln.json('plan', 'storefront', 'live/local')).toMatchObject({ unchanged: true, steps: [] });
    expect(await kiln.json('audit', '--verify')).toEqual({ whole: true });
    expect(await kiln.json('version')).toMatchObject({
      client: expect.any(String),
      server: expect.any(String),
    });
    expect(await kiln.json('doctor')).toMatchObject({ server: { reachable: true } });
    expect(await kiln.json('check', 'storefront', 'live/local')).toMatchObject({ state: 'passed' });
    const logs = await kiln.run('logs', 'storefront', 'live/local', '--tail', '3', '--json');
    for (const line of logs.stdout.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('instance');
  });

  test('plan shows the steps that deploy then takes', async () => {
    await kiln.json('bake', app, '--version', '2.0.0');
    await kiln.json('check', 'storefront@2.0.0');
    const plan = await kiln.json<{ steps: { text: string }[]; to: number }>(
      'plan',
      'storefront@2.0.0',
      'stage/local',
    );
    const deployed = await kiln.run('deploy', 'storefront@2.0.0', 'stage/local');
    expect(deployed.code).toBe(0);
    const said = deployed.stderr.split('\n').map((line) => line.trim());
    const verbs = plan.steps.map((step) => step.text).filter((text) => !text.startsWith('wait'));
    // The last step is the word "deployed" itself, which is said as the end.
    for (const text of verbs.slice(0, -1)) expect(said).toContain(text);
    expect(plan.to).toBe(2);
  });

  test('rollback goes back, promote keeps its history, and a channel names an image', async () => {
    expect(await kiln.json('rollback', 'storefront', 'stage/local')).toMatchObject({
      state: 'deployed',
      to: 1,
    });
    await kiln.json('promote', 'storefront@2.0.0', 'candidate', '--why', 'tried');
    const history = await kiln.json('promote', 'storefront', 'candidate', '--history');
    expect(history).toMatchObject({ items: [{ version: '2.0.0', why: 'tried' }, { why: 'kiln up' }] });
    expect(await kiln.json('images', '--image', 'storefront:candidate')).toMatchObject({ version: '2.0.0' });
  });

  test.each([
    [['images', '--image', 'storefront@9.9.9'], 3, 'not-found'],
    [['deploy', 'storefront', 'live'], 2, 'input.invalid'],
    [['promote', 'storefront@0.0', 'proven'], 3, 'not-found'],
    [['rollback', 'storefront', 'live/local'], 4, 'rollback.nothing'],
    [['bake', '/nowhere/at/all'], 3, 'not-found'],
  ])('kiln %j ends with %i: %s', async (args, code, name) => {
    const plain = await kiln.run(...args);
    expect(plain).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(`[${name}]`) });
    const json = await kiln.run(...args, '--json');
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: name } });
  });

  test('a mistake in kiln.yaml is shown in its line', async () => {
    const file = path.join(app, 'kiln.yaml');
    const good = await readFile(file, 'utf8');
    await writeFile(file, good.replace(/^service:/m, 'servise:'));
    const baked = await kiln.run('bake', app);
    await writeFile(file, good);
    expect(baked.code).toBe(2);
    expect(baked.stderr).toContain('[component-file.invalid]');
    expect(baked.stderr).toMatch(/kiln\.yaml:\d+:1 .*servise/);
    expect(baked.stderr).toContain('did you mean "service"?');
  });

  test('a token has its role, and no more', async () => {
    const { secret } = await kiln.json<{ secret: string }>('tokens', 'create', 'ci', '--role', 'viewer');
    const file = await kiln.serverFile();
    const as = (...args: string[]) => launch(args, { KILN_URL: file?.url, KILN_TOKEN: secret });
    expect((await as('status')).code).toBe(0);
    expect(await as('stop', 'storefront', 'stage/local')).toMatchObject({ code: 5 });
    expect(await as('tokens', 'list')).toMatchObject({ code: 5 });
  });
});

describe('without a server of its own', () => {
  const stranger = async () => ({
    KILN_STATE: path.join(kiln.directory, 'nobody'),
    KILN_LISTEN: new URL((await kiln.serverFile())?.url ?? '').host,
  });

  test('version is the client’s, and says that the server there refuses it', async () => {
    const { code, output } = await launch(['version'], await stranger());
    expect(code).toBe(0);
    expect(output).toMatch(/^kiln \d+\.\d+/m);
    expect(output).toMatch(/the server at http:\/\/127\.0\.0\.1:\d+ refuses us .*another user/);
  });

  test('doctor says what a tool that does not work complains of, and what to do', async () => {
    const folder = path.join(kiln.directory, 'tools');
    await mkdir(folder);
    const engine = `#!/bin/sh
[ "$1" = --version ] && { echo Docker version 1.2.3; exit; }
echo; echo 'Client:' >&2; echo 'ERROR: Cannot connect to the engine' >&2; echo 'errors printing info' >&2; exit 1
`;
    await writeFile(path.join(folder, 'docker'), engine, { mode: 0o755 });
    const { output } = await launch(['doctor'], {
      ...(await stranger()),
      PATH: `${folder}:${process.env.PATH}`,
    });
    expect(output).toMatch(/docker engine is there but does not work: ERROR: Cannot connect to the engine$/m);
    expect(output).toMatch(/to mend it: .*start the engine/);
  });
});

describe('Ctrl-C', () => {
  test('cancels a bake, which leaves no image', async () => {
    const file = path.join(app, 'kiln.yaml');
    const good = await readFile(file, 'utf8');
    await writeFile(file, good.replace('node build.js', 'echo begun; sleep 60'));
    const result = await launch(['bake', app, '--version', '3.0.0'], {}, (output, kill) => {
      if (output.includes('begun')) kill();
    });
    await writeFile(file, good);
    expect(result).toMatchObject({ code: 130, output: expect.stringContaining('the bake was cancelled') });
    expect((await kiln.run('images', '--image', 'storefront@3.0.0')).code).toBe(3);
  });

  test('stops following logs', async () => {
    const result = await launch(['logs', 'storefront', 'live/local', '-f'], {}, (output, kill) => {
      if (output.includes('storefront-web-live-local')) kill();
    });
    expect(result.code).toBe(130);
  });
});

describe('kiln serve', () => {
  test('refuses a state directory that another server works', async () => {
    const second = await kiln.run('serve');
    expect(second.code).not.toBe(0);
    expect(second.stderr).toContain('state.in-use');
    expect((await kiln.run('status')).code).toBe(0);
  });
});

test('kiln down stops all of it; then no server answers', async () => {
  const pid = (await kiln.serverFile())?.pid ?? 0;
  const down = await kiln.json<{ services: string[] }>('down');
  expect(down.services).toContain('storefront@live/local');
  await until('the server is gone', async () => !(await isAlive(pid)));
  expect(await kiln.run('status')).toMatchObject({ code: 69, stderr: expect.stringContaining('kiln serve') });
});

async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat !== '' && !/\) Z /.test(stat);
}

async function newestRevision(): Promise<number> {
  const answer: unknown = await (await kiln.call('GET', '/api/v1/server')).json();
  return typeof answer === 'object' && answer !== null && 'revision' in answer ? Number(answer.revision) : -1;
}

/** Runs a verb and lets the test press Ctrl-C once it has seen enough. */
function launch(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  watch: (output: string, kill: () => void) => void = () => undefined,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(LAUNCHER, args, {
      env: { ...process.env, KILN_STATE: kiln.state, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let killed = false;
    const take = (piece: Buffer): void => {
      output += piece.toString();
      watch(output, () => {
        if (!killed) child.kill('SIGINT');
        killed = true;
      });
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}
