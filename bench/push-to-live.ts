/**
 * From `git push` of the example to its new version answering live traffic: the push's hook, the checkout, bake, check,
 * promotion and a blue-green deployment of three instances. Beside it the same steps by hand, of which none can be left
 * out: the push, a clone, a start for the check, the image's test, the migration, and three instances started at once;
 * the worker is watched as long as Kiln does before it counts as up. What Kiln takes longer than that is its own share.
 *
 *   node bench/push-to-live.ts [--rounds N] [--json]
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { type Kiln, ROOT, until } from '../test/e2e/kiln.ts';
import { freePort } from '../test/free-port.ts';
import { GitRemote } from '../test/pipeline/git-remote.ts';
import { withKiln } from './own-kiln.ts';
import { atMost, median, report, say, timed } from './result.ts';

const run = promisify(execFile);
const HOST = 'storefront.live.localhost';
/** As long a process without a port has to stay before it counts as up: see docs/performance.md. */
const CHECKED_WORKER_MS = 1_000;
const LIVE_WORKER_MS = 300;
const PIPELINE = `
StartAt: Bake
States:
  Bake: {Type: Task, Resource: bake, Parameters: {directory.$: $.trigger.source.location}, ResultPath: $.image, Next: Check}
  Check: {Type: Task, Resource: check, Parameters: {image.$: $.image.id}, ResultPath: null, Next: Proven}
  Proven: {Type: Task, Resource: promote, Parameters: {image.$: $.image.id, channel: proven}, ResultPath: null, Next: Live}
  Live: {Type: Task, Resource: deploy, Parameters: {component: storefront, environment: live/local, image.$: $.image.id}, End: true}
`;

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, json: { type: 'boolean' } },
});
const rounds = Number(values.rounds);

/** What the address answers as the host; nothing while it does not. */
function ask(address: string, host: string, page: string): Promise<string> {
  const [hostname, port] = address.split(':');
  return new Promise((resolve) => {
    const call = request({ hostname, port, path: page, headers: { host } }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve(response.statusCode === 200 ? body : ''));
    });
    call.on('error', () => resolve(''));
    call.end();
  });
}

async function untilAnswer(address: string, host: string, page: string, text: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await ask(address, host, page)).includes(text)) {
    if (performance.now() > deadline) throw new Error(`${address}${page} does not show ${text}`);
    await sleep(10);
  }
}

interface Event {
  readonly outcome?: { readonly execution?: string };
}

/** The execution that the newest push started, once it has ended well: the next push is measured by itself. */
async function ended(kiln: Kiln, source: string): Promise<void> {
  await until('the execution has ended', async () => {
    const { items } = await kiln.json<{ items: readonly Event[] }>('pipeline', 'events', source);
    const id = items[0]?.outcome?.execution;
    if (id === undefined) return false;
    const { status } = await kiln.json<{ status: string }>('pipeline', 'show', id);
    if (status === 'FAILED') throw new Error(`${id} has failed`);
    return status === 'SUCCEEDED';
  });
}

/** A repository that a Kiln watches, and one round of it after the other. */
async function watched(kiln: Kiln, remote: GitRemote): Promise<(round: number) => Promise<number>> {
  await kiln.serve();
  remote.commit('the example', { 'pipeline.yaml': PIPELINE });
  remote.push();
  const { id } = await kiln.json<{ id: string }>('pipeline', 'watch', remote.bare);
  await kiln.json('pipeline', 'hook', id, remote.bare);
  const router = await kiln.routerAddress();
  return async (round) => {
    const sha = remote.commit(`round ${round}`, { 'round.js': `// ${round}\n` });
    const ms = await timed(async () => {
      remote.push();
      await untilAnswer(router, HOST, '/service/status', sha.slice(0, 7));
    });
    await ended(kiln, id);
    return ms;
  };
}

async function started(app: string): Promise<ChildProcess> {
  const port = await freePort();
  const child = spawn(process.execPath, ['server.js'], {
    cwd: app,
    env: { ...process.env, PORT: String(port) },
    stdio: 'ignore',
  });
  await untilAnswer(`127.0.0.1:${port}`, 'localhost', '/service/healthcheck/gtg', '');
  await untilAnswer(`127.0.0.1:${port}`, 'localhost', '/api/products', 'currency');
  return child;
}

/** A worker that stays for so long. */
async function stayed(app: string, ms: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['worker.js'], { cwd: app, stdio: 'ignore' });
  await sleep(ms);
  if (child.exitCode !== null) throw new Error(`the worker ended with ${child.exitCode}`);
  return child;
}

async function stopped(children: readonly ChildProcess[]): Promise<void> {
  await Promise.all(
    children.map(async (child) => {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    }),
  );
}

/** What nobody can leave out, whatever does it. */
function byHand(directory: string, remote: GitRemote): (round: number) => Promise<number> {
  remote.commit('the example');
  remote.push();
  return async (round) => {
    remote.commit(`round ${round}`, { 'round.js': `// ${round}\n` });
    const app = path.join(directory, `clone-${round}`);
    const migrated = () => run(process.execPath, ['migrate.js'], { cwd: app });
    const running: ChildProcess[] = [];
    const ms = await timed(async () => {
      remote.push();
      await run('git', ['clone', '--quiet', remote.bare, app]);
      const checked = await Promise.all([started(app), stayed(app, CHECKED_WORKER_MS)]);
      // All that the image's own test starts.
      await migrated();
      await stopped(checked);
      await migrated();
      const live = [stayed(app, LIVE_WORKER_MS), started(app), started(app), started(app)];
      running.push(...(await Promise.all(live)));
    });
    await stopped(running);
    return ms;
  };
}

async function main(): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'kiln-bench-push-'));
  try {
    const example = path.join(directory, 'by-hand');
    await cp(path.join(ROOT, 'examples/storefront'), example, { recursive: true });
    // By hand nothing is built either: what is built once is committed with it.
    await run(process.execPath, ['build.js'], { cwd: example });
    await rm(path.join(example, '.gitignore'), { force: true });
    const hand = byHand(directory, new GitRemote(directory, 'hand', example));
    await withKiln(async (kiln) => {
      const push = await watched(
        kiln,
        new GitRemote(kiln.directory, 'shop', await kiln.example('storefront')),
      );
      const times: { readonly ownMs: number; readonly handMs: number }[] = [];
      for (let round = 0; round <= rounds; round++) {
        const found = { handMs: await hand(round), ownMs: await push(round) };
        say(`round ${round}: ${found.ownMs.toFixed(0)} ms, by hand ${found.handMs.toFixed(0)} ms`);
        // The first one builds what the others find built.
        if (round > 0) times.push(found);
      }
      const peer = { name: 'by hand', value: median(times.map(({ handMs }) => handMs)) };
      const value = median(times.map(({ ownMs }) => ownMs));
      const share = median(times.map(({ ownMs, handMs }) => ownMs - handMs));
      report([
        { what: 'from push to live', value, unit: 'ms', peer, goal: atMost(10_000) },
        { what: '… of which Kiln’s own share', value: share, unit: 'ms', goal: atMost(1_000) },
      ]);
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

await main();
