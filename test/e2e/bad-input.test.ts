/** Whatever is wrong with what people give: a clear error with a stable code and exit code, and nothing lost. */
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { bakeShop, writeShop } from './journey-shop.ts';
import { type CommandResult, Kiln, type KilnOptions, processesOf } from './kiln.ts';

/** A server or command with a state directory of its own, in which these files stand. */
async function runAlone(
  args: readonly string[],
  options: KilnOptions & { readonly files?: Readonly<Record<string, string>> } = {},
): Promise<CommandResult & { readonly kiln: Kiln }> {
  const alone = await Kiln.create(options);
  onTestFinished(() => alone.destroy());
  await mkdir(alone.state, { mode: 0o700 });
  for (const [name, text] of Object.entries(options.files ?? {})) {
    await writeFile(path.join(alone.state, name), text);
  }
  return { ...(await alone.run(...args)), kiln: alone };
}

const LIMIT = 'pipelines: {limitSeconds: {deply: 60}}\n';

describe('kiln serve refuses', () => {
  const wrong: readonly [string, readonly string[], Readonly<Record<string, string>>, number, string][] = [
    ['an unknown flag', ['--frobnicate'], {}, 2, "unknown option '--frobnicate'"],
    ['an address that is none', ['--listen', 'nonsense'], {}, 2, '[input.invalid]'],
    ['to listen beyond loopback without TLS', ['--listen', '0.0.0.0:0'], {}, 2, 'without TLS'],
    ['a router that there is not', ['--router', 'nginx'], {}, 2, 'Choose built-in or haproxy'],
    ['settings with an unknown key', [], { 'settings.yaml': 'lissten: x\n' }, 2, 'lissten'],
    ['a limit of a task that there is not', [], { 'settings.yaml': LIMIT }, 2, 'Did you mean deploy?'],
    ['settings that are not YAML', [], { 'settings.yaml': 'a: [\n' }, 2, 'settings.yaml is not YAML'],
    ['a state directory of a newer version', [], { format: '99\n' }, 69, '[state.newer-version]'],
    ['a database that is none', [], { 'kiln.db': 'no database '.repeat(1000) }, 70, '[store.damaged]'],
  ];
  test.each(wrong)('%s', async (_, flags, files, code, said) => {
    const result = await runAlone(['serve', ...flags], { files });
    expect(result).toMatchObject({ code, stderr: expect.stringContaining(said) });
    for (const [name, text] of Object.entries(files)) {
      expect(await readFile(path.join(result.kiln.state, name), 'utf8')).toBe(text);
    }
  });

  test.each(['KILN_LISTEN', 'KILN_ROUTER_LISTEN'])(
    '%s at an address that is taken, and starts nothing',
    async (name) => {
      const holder = createServer().listen(0, '127.0.0.1');
      onTestFinished(() => {
        holder.close();
      });
      await once(holder, 'listening');
      const address = holder.address();
      const port = typeof address === 'object' ? address?.port : undefined;
      const result = await runAlone(['serve'], { environment: { [name]: `127.0.0.1:${port}` } });
      expect(result).toMatchObject({ code: 69, stderr: expect.stringContaining('[listen.taken]') });
      expect(await processesOf(result.kiln.directory)).toEqual([]);
    },
  );

  test('a Postgres that is not there', async () => {
    const environment = { DATABASE_URL: 'postgres://somebody:a-secret@127.0.0.1:1/kiln' };
    const result = await runAlone(['serve'], { environment });
    expect(result).toMatchObject({ code: 75, stderr: expect.stringContaining('[store.lost]') });
    expect(result.stderr).not.toContain('a-secret');
  });
});

describe('where the server is', () => {
  test('an address that is none', async () => {
    const result = await runAlone(['status'], { environment: { KILN_URL: 'nonsense' } });
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('[input.invalid]') });
  });

  test('an address where nobody answers', async () => {
    const url = 'http://127.0.0.1:1';
    const result = await runAlone(['status'], { environment: { KILN_URL: url, KILN_TOKEN: 'kiln_any' } });
    expect(result).toMatchObject({ code: 69, stderr: expect.stringContaining('[server.unreachable]') });
    expect(result.stderr).toContain(url);
  });

  test('a server.json that was cut short is as good as none', async () => {
    const result = await runAlone(['status'], { files: { 'server.json': '{"url": "http' } });
    await rm(path.join(result.kiln.state, 'server.json'));
    expect(result).toMatchObject({ code: 69, stderr: expect.stringContaining('[server.unreachable]') });
  });
});

describe('a server that works', () => {
  let kiln: Kiln;
  let folder: string;
  beforeAll(async () => {
    kiln = await Kiln.create();
    await kiln.serve();
    folder = path.join(kiln.directory, 'shop');
    await bakeShop(kiln, '1.0.0', { text: 'one' });
    await kiln.json('deploy', 'shop@1.0.0', 'stage/local');
  });
  afterAll(() => kiln.destroy());

  const names: readonly [readonly string[], number, string][] = [
    [['deploy', 'Bad_Name', 'stage/local'], 2, 'is not a component name'],
    [['deploy', 'shop', 'stage'], 2, 'is not an environment'],
    [['promote', 'shop@1.0.0', 'No Channel'], 2, 'input.invalid'],
    [['deploy', 'nothing', 'stage/local'], 3, 'not-found'],
    [['deploy', 'shop', 'stage/local', '--release', '99'], 3, 'not-found'],
    [['cancel', 'd999999'], 3, 'not-found'],
  ];
  test.each(names)('kiln %j', async (args, code, said) => {
    expect(await kiln.run(...args)).toMatchObject({ code, stderr: expect.stringContaining(said) });
  });

  test('a folder without kiln.yaml, and one from which a link leads out', async () => {
    const empty = path.join(kiln.directory, 'empty');
    await mkdir(empty);
    expect(await kiln.run('bake', empty)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('[component-file.missing]'),
    });
    const leaking = path.join(kiln.directory, 'leaking');
    await writeShop(leaking, { text: 'x' });
    await symlink('/etc/passwd', path.join(leaking, 'leak'));
    const result = await kiln.run('bake', leaking);
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('[path.escapes]') });
    expect(result.stderr).toContain('"leak"');
  });

  test('every mistake of a kiln.yaml is shown at once, each in its place', async () => {
    const wrong = path.join(kiln.directory, 'wrong');
    await mkdir(wrong);
    await writeFile(
      path.join(wrong, 'kiln.yaml'),
      [
        'component: Bad_Name',
        'image: {run: ./x}',
        'service:',
        '  health: {intervall: 2s}',
        '  instances: many',
        '',
      ].join('\n'),
    );
    const result = await kiln.run('bake', wrong);
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('[component-file.invalid]') });
    expect(result.stderr).toMatch(/kiln\.yaml:1:12 .*component/);
    expect(result.stderr).toMatch(/kiln\.yaml:4:12 .*intervall/);
    expect(result.stderr).toContain('did you mean "interval"?');
    expect(result.stderr).toMatch(/kiln\.yaml:5:14 .*instances/);
  });

  test('every path of a kiln.yaml that leads out of its folder', async () => {
    const escaping = path.join(kiln.directory, 'escaping');
    await writeShop(escaping, { text: 'x' });
    const definition: object = JSON.parse(await readFile(path.join(escaping, 'kiln.yaml'), 'utf8'));
    const paths = {
      checks: ['../checks.yaml'],
      config: { files: [{ template: '../template.liquid', path: '../../etc/config' }] },
      processes: { worker: { run: 'x', volumes: [{ name: 'data', path: '../data' }] } },
    };
    await writeFile(path.join(escaping, 'kiln.yaml'), JSON.stringify({ ...definition, ...paths }, null, 1));
    const result = await kiln.run('bake', escaping);
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('[component-file.invalid]') });
    for (const where of ['checks[0]', 'files[0].template', 'files[0].path', 'volumes[0].path']) {
      const lines = result.stderr.split('\n').filter((line) => /kiln\.yaml:\d+:\d+ /.test(line));
      expect(lines).toContainEqual(expect.stringContaining(where));
    }
  });

  test('a token that is wrong, and one that has expired', async () => {
    const ask = async (token: string): Promise<{ status: number; code: string }> => {
      const { url = '' } = (await kiln.serverFile()) ?? {};
      const answer = await fetch(`${url}/api/v1/images`, { headers: { authorization: `Bearer ${token}` } });
      const { code = '' }: { code?: string } = JSON.parse(await answer.text());
      return { status: answer.status, code };
    };
    expect(await ask('kiln_wrong')).toEqual({ status: 401, code: 'auth.missing' });
    const body = { name: 'short', role: 'viewer', expiresAtMs: Date.now() + 1_500 };
    const made = await kiln.call('POST', '/api/v1/tokens', body);
    const { secret }: { secret: string } = JSON.parse(await made.text());
    await expect.poll(() => ask(secret), { timeout: 20_000 }).toEqual({ status: 401, code: 'auth.expired' });
  });

  const calls: readonly [string, string, unknown, number, string][] = [
    ['POST', '/api/v1/deployments', { component: 'shop', extra: 1 }, 400, 'input.invalid'],
    ['GET', '/api/v1/images?limit=many', undefined, 400, 'input.invalid'],
    ['PUT', '/api/v1/images', {}, 405, 'input.method'],
    ['GET', '/api/v1/nothing', undefined, 404, 'not-found'],
  ];
  test.each(calls)('%s %s', async (method, route, body, status, code) => {
    const answer = await kiln.call(method, route, body);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(JSON.parse(await answer.text())).toMatchObject({ code, status });
  });

  test('a second server on its state directory is refused, and it goes on', async () => {
    const second = await kiln.run('serve');
    expect(second).toMatchObject({ code: 69, stderr: expect.stringContaining('[state.in-use]') });
    expect((await kiln.run('status')).code).toBe(0);
  });

  test('a damaged blob is never run: what served serves, and baking it again mends it', async () => {
    const before = new Set(await blobs());
    await bakeShop(kiln, '2.0.0', { text: 'two' });
    const made = (await blobs()).filter((file) => !before.has(file));
    expect(made.length).toBeGreaterThan(0);
    for (const file of made) {
      const bytes = await readFile(file);
      bytes.writeUInt8((bytes.at(-1) ?? 0) ^ 0xff, bytes.length - 1);
      await rm(file);
      await writeFile(file, bytes);
    }
    const result = await kiln.run('deploy', 'shop@2.0.0', 'stage/local');
    expect(result).toMatchObject({ code: 70, stderr: expect.stringContaining('[blob.damaged]') });
    expect((await kiln.ask('shop.stage.localhost')).body).toBe('one | hello');
    for (const file of made) await rm(file);
    await kiln.json('bake', folder, '--version', '2.0.0');
    await kiln.json('deploy', 'shop@2.0.0', 'stage/local');
    expect((await kiln.ask('shop.stage.localhost')).body).toBe('two | hello');
  });

  async function blobs(): Promise<readonly string[]> {
    const root = path.join(kiln.state, 'blobs');
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    return entries.filter((one) => one.isFile()).map((one) => path.join(one.parentPath, one.name));
  }
});
