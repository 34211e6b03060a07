/**
 * A real program that knows nothing of Kiln: npm's registry verdaccio, its packages on a volume that only one
 * instance may hold. It is upgraded and rolled back, and what was published to it stays.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { Kiln, startLoad } from './kiln.ts';

const OLDER = '6.1.0';
const NEWER = '6.10.4';
const LIMIT_MS = 240_000;
const PACKAGE = 'a-tile';

let kiln: Kiln;
beforeAll(async () => {
  kiln = await Kiln.create();
  await kiln.serve();
  await Promise.all([bakeVersion(OLDER), bakeVersion(NEWER)]);
}, LIMIT_MS);
afterAll(() => kiln.destroy());

test('verdaccio is baked and deployed, and takes a package through the router', {
  timeout: LIMIT_MS,
}, async () => {
  await kiln.json('deploy', `registry@${OLDER}`, 'stage/local');
  expect(await runningVersion()).toBe(OLDER);
  await publish('1.0.0');
  expect(await published()).toEqual(['1.0.0']);
});

test('plan warns that it stops before the next one starts', { timeout: LIMIT_MS }, async () => {
  const plan = await kiln.json<{ warnings: string[]; steps: { kind: string }[] }>(
    ...['plan', `registry@${NEWER}`, 'stage/local'],
  );
  expect(plan.warnings.join('\n')).toContain('storage');
  const kinds = plan.steps.map((step) => step.kind);
  expect(kinds.indexOf('remove-group')).toBeGreaterThanOrEqual(0);
  expect(kinds.indexOf('remove-group')).toBeLessThan(kinds.indexOf('scale'));
});

test('upgraded and rolled back, requests wait rather than fail, and the packages stay', {
  timeout: LIMIT_MS,
}, async () => {
  const options = { path: `/${PACKAGE}`, connections: 2, newPerSecond: 2, pauseMs: 50 };
  const load = await startLoad(await kiln.routerAddress(), 'localhost', options);
  onTestFinished(async () => {
    await load.stop();
  });
  await kiln.json('deploy', `registry@${NEWER}`, 'stage/local');
  expect(await runningVersion()).toBe(NEWER);
  expect(await published()).toEqual(['1.0.0']);
  await publish('1.1.0');
  expect(await kiln.json('rollback', 'registry', 'stage/local')).toMatchObject({ state: 'deployed', to: 1 });
  expect(await runningVersion()).toBe(OLDER);
  expect(await published()).toEqual(['1.0.0', '1.1.0']);
  expect(await load.stop()).toMatchObject({ failed: 0, failures: {} });
});

async function bakeVersion(version: string): Promise<void> {
  const folder = path.join(kiln.directory, version);
  await cp(path.join(import.meta.dirname, 'verdaccio'), folder, { recursive: true });
  const file = path.join(folder, 'package.json');
  const { dependencies: _, ...content } = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...content, dependencies: { verdaccio: version } }));
  await kiln.json('bake', folder, '--version', version);
}

/** As the instance that runs says itself, when it starts to listen. */
async function runningVersion(): Promise<string | undefined> {
  const { stdout } = await kiln.run('logs', 'registry', 'stage/local', '--tail', '200');
  return [...stdout.matchAll(/http address .*verdaccio\/(\S+)/g)].at(-1)?.[1];
}

async function registryUrl(): Promise<string> {
  const address = await kiln.routerAddress();
  return `http://localhost:${address.slice(address.lastIndexOf(':') + 1)}/`;
}

/** With npm itself, as a user that is made on the spot. */
async function publish(version: string): Promise<void> {
  const url = await registryUrl();
  const answer = await fetch(`${url}-/user/org.couchdb.user:potter-${version}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: `potter-${version}`, password: 'a-long-password' }),
  });
  const { token }: { token: string } = JSON.parse(await answer.text());
  const source = path.join(kiln.directory, `${PACKAGE}-${version}`);
  await mkdir(source);
  await writeFile(path.join(source, 'package.json'), JSON.stringify({ name: PACKAGE, version }));
  await writeFile(
    path.join(source, '.npmrc'),
    `registry=${url}\n${url.replace('http:', '')}:_authToken=${token}\n`,
  );
  await npm(source, 'publish');
}

async function published(): Promise<readonly string[]> {
  const url = await registryUrl();
  return [
    JSON.parse(await npm(kiln.directory, 'view', PACKAGE, 'versions', '--json', '--registry', url)),
  ].flat();
}

async function npm(cwd: string, ...args: string[]): Promise<string> {
  const cache = path.join(kiln.directory, 'npm-cache');
  const run = promisify(execFile);
  const { stdout } = await run('npm', [...args, '--cache', cache, '--loglevel', 'error'], {
    cwd,
    timeout: LIMIT_MS,
  });
  return stdout;
}
