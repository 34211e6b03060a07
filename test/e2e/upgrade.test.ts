/** Kiln's own upgrade: a newer server and a newer router take over from older ones under load, and nothing is lost. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, realpath, rename, rm, symlink } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../free-port.ts';
import { bakeShop } from './journey-shop.ts';
import { Kiln, processesOf, ROOT, startLoad, until } from './kiln.ts';

const HOST = 'shop.stage.localhost';
const OLDER = '1000-older';
const NEWER = '2000-newer';

let builds: string;
let kiln: Kiln;
beforeAll(async () => {
  const entry = await makeBuilds();
  // The address stays the same over an upgrade, as it does where people run Kiln.
  const environment = { KILN_LISTEN: `127.0.0.1:${await freePort()}` };
  kiln = await Kiln.create({ serverEntry: entry, environment });
  await kiln.serve();
  const wish = { hosts: [HOST], instances: 3 } as const;
  await bakeShop(kiln, '1.71.0', { ...wish, text: 'first' });
  await bakeShop(kiln, '1.72.0', { ...wish, text: 'second', behaviour: 'late' });
  await kiln.json('deploy', 'shop@1.71.0', 'stage/local');
});
afterAll(async () => {
  await kiln?.destroy();
  await rm(builds, { recursive: true, force: true });
});

test('under load, in the middle of a deployment, with connections open', { timeout: 120_000 }, async () => {
  const pids = await pidsOf('1.71.0');
  const address = await kiln.routerAddress();
  const load = await startLoad(address, HOST, { connections: 8, newPerSecond: 50 });
  onTestFinished(async () => {
    await load.stop();
  });
  const tunnel = await openTunnel(address);
  const longPoll = kiln.ask(HOST, '/slow?ms=3000');
  onTestFinished(() => {
    tunnel.destroy();
  });
  const deploying = kiln.json('deploy', 'shop@1.72.0', 'stage/local');
  await until('the new instances start', async () => (await pidsOf('1.72.0')).length > 0);

  const before = await kiln.serverFile();
  await pointTo(NEWER);
  await kiln.serve('--take-over');
  expect((await kiln.serverFile())?.pid).not.toBe(before?.pid);
  expect(await pidsOf('1.71.0')).toEqual(pids);
  expect(await echo(tunnel, 'still here?')).toBe('still here?');

  expect(await deploying).toMatchObject({ deployment: { state: 'deployed' } });
  expect((await longPoll).body).toBe('first | hello');
  expect((await kiln.ask(HOST)).body).toBe('second | hello');
  const report = await load.stop();
  expect(report).toMatchObject({ failed: 0, failures: {} });
  expect(Object.keys(report.answers).sort()).toEqual(['1.71.0', '1.72.0']);
});

test('afterwards only the router of the newer build runs', async () => {
  await until('the older router has let go of all it had', async () => {
    const routers = (await processesOf(kiln.state)).filter((one) => one.command.includes('/router.js'));
    return routers.length === 1 && routers.every((one) => one.command.includes(NEWER));
  });
});

/** Two copies of what is built, which differ in name only; the server's entry is whichever `current` points to. */
async function makeBuilds(): Promise<string> {
  // The launcher builds what is not built.
  await promisify(execFile)(path.join(ROOT, 'bin/kiln'), ['--help']);
  builds = await mkdtemp(path.join(tmpdir(), 'kiln-builds-'));
  const built = await realpath(path.join(ROOT, 'dist/current'));
  for (const build of [OLDER, NEWER]) await cp(built, path.join(builds, build), { recursive: true });
  await pointTo(OLDER);
  return path.join(builds, 'current/server.js');
}

async function pointTo(build: string): Promise<void> {
  await symlink(build, path.join(builds, 'next'));
  await rename(path.join(builds, 'next'), path.join(builds, 'current'));
}

/** Processes of the instances of a version. */
async function pidsOf(version: string): Promise<readonly number[]> {
  const found = await processesOf(`KILN_VERSION=${version}`);
  return found.filter((one) => one.command.endsWith('node server.js')).map((one) => one.pid);
}

async function openTunnel(address: string): Promise<Socket> {
  const { hostname, port } = new URL(`http://${address}`);
  const socket = connect(Number(port), hostname);
  socket.write(`GET /echo HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`);
  const [head] = await once(socket, 'data');
  expect(String(head)).toContain('101 Switching Protocols');
  return socket;
}

async function echo(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [answer] = await once(socket, 'data');
  return String(answer);
}
