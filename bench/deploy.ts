/**
 * Deploy and rollback of three instances of the example, beside `pm2 reload` of three workers of the same service,
 * on a quiet machine and under constant load: 16 keep-alive connections that never pause, and 50 new ones a second.
 *
 *   node bench/deploy.ts [--rounds N] [--json]
 *
 * The time of a command is that of the whole process; inside, from the deployment's making to its "deployed". pm2 is
 * fetched from npm into a temporary directory.
 */
import { execFile } from 'node:child_process';
import { appendFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { type Kiln, startLoad, until } from '../test/e2e/kiln.ts';
import type { LoadReport } from '../test/e2e/load-client.ts';
import { freePort } from '../test/free-port.ts';
import { withKiln } from './own-kiln.ts';
import { atMost, median, type Row, report, say, timed } from './result.ts';

const run = promisify(execFile);
const ENVIRONMENT = 'bench/local';
const HOST = 'storefront.bench.localhost';
const PAGE = '/api/products';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, json: { type: 'boolean' } },
});
const rounds = Number(values.rounds);

interface Times {
  readonly deployMs: number[];
  readonly deployInsideMs: number[];
  readonly rollbackMs: number[];
  readonly rollbackInsideMs: number[];
}

interface Deployment {
  readonly createdAtMs: number;
  readonly endedAtMs: number;
}

/** Three instances of version 0 serve, and one more image is baked for each round. */
async function prepare(kiln: Kiln): Promise<string> {
  await kiln.serve();
  const folder = await kiln.example('storefront');
  const file = path.join(folder, 'kiln.yaml');
  await appendFile(
    file,
    `  ${ENVIRONMENT}: { instances: 3 }
`,
  );
  for (let version = 0; version <= 2 * rounds; version++) {
    await writeFile(path.join(folder, 'bench.txt'), `${version}\n`);
    await kiln.json('bake', folder, '--version', `1.0.${version}`);
    await kiln.json('check', `storefront@1.0.${version}`);
  }
  await kiln.json('deploy', 'storefront@1.0.0', ENVIRONMENT);
  return folder;
}

async function measureKiln(kiln: Kiln, firstVersion: number): Promise<Times> {
  const times: Times = { deployMs: [], deployInsideMs: [], rollbackMs: [], rollbackInsideMs: [] };
  for (let version = firstVersion; version < firstVersion + rounds; version++) {
    const startedAt = performance.now();
    const { deployment } = await kiln.json<{ deployment: Deployment }>(
      'deploy',
      `storefront@1.0.${version}`,
      ENVIRONMENT,
    );
    times.deployMs.push(performance.now() - startedAt);
    times.deployInsideMs.push(deployment.endedAtMs - deployment.createdAtMs);
    const backAt = performance.now();
    const back = await kiln.json<Deployment>('rollback', 'storefront', ENVIRONMENT);
    times.rollbackMs.push(performance.now() - backAt);
    times.rollbackInsideMs.push(back.endedAtMs - back.createdAtMs);
  }
  return times;
}

class Pm2 {
  readonly address: string;
  private readonly program: string;
  private readonly env: NodeJS.ProcessEnv;

  private constructor(directory: string, port: number) {
    this.address = `127.0.0.1:${port}`;
    this.program = path.join(directory, 'node_modules/.bin/pm2');
    const own = path.dirname(process.execPath);
    this.env = {
      ...process.env,
      PATH: `${own}:${process.env.PATH}`,
      PM2_HOME: path.join(directory, 'home'),
      PORT: String(port),
    };
  }

  /** Undefined: npm could not bring it. */
  static async start(directory: string, app: string): Promise<Pm2 | undefined> {
    const install = ['install', '--prefix', directory, '--ignore-scripts', '--no-audit', '--no-fund', 'pm2'];
    try {
      await run('npm', install);
    } catch (error) {
      say(`pm2 could not be fetched: ${error}`);
      return undefined;
    }
    const pm2 = new Pm2(directory, await freePort());
    await run(process.execPath, ['build.js'], { cwd: app });
    await pm2.call('start', path.join(app, 'server.js'), '-i', '3', '--name', 'storefront');
    await until('the workers of pm2 answer', async () => {
      const answer = await fetch(`http://${pm2.address}${PAGE}`).catch(() => undefined);
      return answer?.status === 200;
    });
    return pm2;
  }

  async reload(): Promise<void> {
    await this.call('reload', 'storefront');
  }

  async kill(): Promise<void> {
    await this.call('kill');
  }

  private async call(...args: string[]): Promise<void> {
    await run(this.program, args, { env: this.env });
  }
}

async function measurePm2(pm2: Pm2): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push(await timed(() => pm2.reload()));
  return times;
}

async function underLoad<Measured>(
  address: string,
  measure: () => Promise<Measured>,
): Promise<{ measured: Measured; load: LoadReport }> {
  const running = await startLoad(address, HOST, { path: PAGE, connections: 16, newPerSecond: 50 });
  const measured = await measure();
  return { measured, load: await running.stop() };
}

/** Goals hold from a deployment's start to its end; for the whole command, which starts Node too, on a quiet machine. */
function timesOf(times: Times, when: string, pm2: readonly number[] | undefined, isQuiet: boolean): Row[] {
  const peer = pm2 === undefined ? {} : { peer: { name: 'pm2 reload', value: median(pm2) } };
  const goals = { deploy: { goal: atMost(1_000) }, rollback: { goal: atMost(300) } };
  const commandGoals = isQuiet ? goals : undefined;
  return [
    {
      what: `deploy of 3 instances, ${when}, whole command`,
      value: median(times.deployMs),
      unit: 'ms',
      ...commandGoals?.deploy,
      ...peer,
    },
    {
      what: `deploy of 3 instances, ${when}, inside`,
      value: median(times.deployInsideMs),
      unit: 'ms',
      ...goals.deploy,
    },
    {
      what: `rollback to warm instances, ${when}, whole command`,
      value: median(times.rollbackMs),
      unit: 'ms',
      ...commandGoals?.rollback,
      ...peer,
    },
    {
      what: `rollback to warm instances, ${when}, inside`,
      value: median(times.rollbackInsideMs),
      unit: 'ms',
      ...goals.rollback,
    },
  ];
}

function dropsOf(kiln: LoadReport, pm2: LoadReport | undefined): Row[] {
  say(`kiln under load: ${kiln.requests} requests, failed ${JSON.stringify(kiln.failures)}`);
  if (pm2 !== undefined)
    say(`pm2 under load: ${pm2.requests} requests, failed ${JSON.stringify(pm2.failures)}`);
  const peer = pm2 === undefined ? {} : { peer: { name: 'pm2', value: pm2.failed } };
  const asked = pm2 === undefined ? {} : { peer: { name: 'pm2', value: pm2.requests } };
  return [
    { what: 'requests asked meanwhile', value: kiln.requests, unit: '', ...asked },
    { what: 'requests dropped meanwhile', value: kiln.failed, unit: '', goal: atMost(0), ...peer },
  ];
}

async function measure(kiln: Kiln): Promise<void> {
  say('baking…');
  const folder = await prepare(kiln);
  say('deploying on a quiet machine…');
  const quiet = await measureKiln(kiln, 1);
  say('deploying under load…');
  const loaded = await underLoad(await kiln.routerAddress(), () => measureKiln(kiln, 1 + rounds));
  await kiln.json('stop', 'storefront', ENVIRONMENT);
  say('fetching and starting pm2…');
  const peer = await Pm2.start(path.join(kiln.directory, 'pm2'), folder);
  try {
    const peerQuiet = peer && (await measurePm2(peer));
    const peerLoaded = peer && (await underLoad(peer.address, () => measurePm2(peer)));
    report([
      ...timesOf(quiet, 'quiet', peerQuiet, true),
      ...timesOf(loaded.measured, 'under load', peerLoaded?.measured, false),
      ...dropsOf(loaded.load, peerLoaded?.load),
      ...(peer === undefined ? [{ what: 'pm2 reload', missing: 'pm2 could not be fetched from npm' }] : []),
    ]);
  } finally {
    await peer?.kill();
  }
}

await withKiln(measure);
