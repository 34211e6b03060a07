/**
 * `kiln push` of a large app to a registry on this machine (Debian's docker-registry) beside `docker push`: what goes
 * over the wire and how long it takes, the first time, after a one-line change, and with nothing changed.
 *
 *   node bench/push.ts [--tree DIR] [--json]
 *
 * Bytes are counted on the way, so that both are measured alike. Docker compresses layers, Kiln does not. The two
 * Dockerfiles are those of bench/bake.ts. --tree names a folder that holds the dependencies already.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Kiln } from '../test/e2e/kiln.ts';
import { FlakyWay } from '../test/registry/flaky-way.ts';
import { noRegistry, RegistryProcess } from '../test/registry/registry-process.ts';
import { DockerEngine } from './docker-engine.ts';
import { changeOneLine, makeLargeApp } from './large-app.ts';
import { withKiln } from './own-kiln.ts';
import { atMost, type Row, report, say, timed } from './result.ts';

const MB = 1e6;
const DOCKERFILES = {
  'docker, COPY .': 'FROM scratch\nCOPY . /app\n',
  'docker, ordered': 'FROM scratch\nCOPY node_modules /app/node_modules\nCOPY package.json server.js /app/\n',
};
const { values } = parseArgs({ options: { tree: { type: 'string' }, json: { type: 'boolean' } } });

interface Cost {
  readonly ms: number;
  readonly mb: number;
}

interface Measured {
  readonly first: Cost;
  readonly change: Cost;
  readonly nothing: Cost;
}

const room = await mkdtemp(path.join(tmpdir(), 'kiln-bench-push-'));
try {
  report(await measureAll());
} finally {
  await rm(room, { recursive: true, force: true });
}

async function measureAll(): Promise<Row[]> {
  const missing = noRegistry();
  if (missing !== undefined) return [{ what: 'push', missing }];
  const app = path.join(room, 'app');
  await makeLargeApp(app, values.tree);
  const kiln = await inRegistry((host, cost) => pushWithKiln(app, host, cost));
  const rows: Row[] = [];
  const engine = await DockerEngine.open(path.join(room, 'docker'));
  try {
    for (const [name, dockerfile] of Object.entries(DOCKERFILES)) {
      if (engine === undefined) break;
      const docker = await inRegistry((host, cost) => pushWithDocker(engine, app, dockerfile, host, cost));
      rows.push(...rowsOf(kiln, name, docker));
    }
  } finally {
    await engine?.close();
  }
  if (rows.length > 0) return rows;
  const alone: Row = { what: 'push beside docker', missing: 'a Docker engine: apt-get install docker.io' };
  return [...rowsOf(kiln), alone];
}

function rowsOf(kiln: Measured, name?: string, docker?: Measured): Row[] {
  return (['first', 'change', 'nothing'] as const).flatMap((when): Row[] => {
    const peer = (value: number | undefined) =>
      value === undefined || name === undefined ? {} : { peer: { name, value } };
    // A one-line change costs a small layer, however large the app is.
    const goal = when === 'first' ? {} : { goal: atMost(1) };
    return [
      { what: `push, ${when}: sent`, value: kiln[when].mb, unit: 'MB', ...peer(docker?.[when].mb), ...goal },
      { what: `push, ${when}: time`, value: kiln[when].ms, unit: 'ms', ...peer(docker?.[when].ms) },
    ];
  });
}

type Costing = (work: () => Promise<unknown>) => Promise<Cost>;

/** A registry of its own, and the way there on which bytes are counted. */
async function inRegistry(work: (host: string, cost: Costing) => Promise<Measured>): Promise<Measured> {
  const registry = await RegistryProcess.start();
  let sent = 0;
  const way = await FlakyWay.to(registry.port, (direction, piece) => {
    if (direction === 'up') sent += piece.length;
  });
  try {
    return await work(way.host, async (push) => {
      sent = 0;
      const ms = await timed(push);
      return { ms, mb: sent / MB };
    });
  } finally {
    await way.close();
    await registry.remove();
  }
}

async function pushWithKiln(app: string, host: string, cost: Costing): Promise<Measured> {
  let measured: Measured | undefined;
  await withKiln(async (kiln: Kiln) => {
    await kiln.serve();
    const push = async (version: string): Promise<Cost> => {
      await kiln.json('bake', app, '--version', version);
      say(`kiln push ${version}`);
      return cost(() => kiln.json('push', `large@${version}`, `${host}/large`));
    };
    const first = await push('1.0.0');
    await changeOneLine(app);
    measured = { first, change: await push('1.0.1'), nothing: await push('1.0.1') };
  });
  if (measured === undefined) throw new Error('nothing was measured');
  return measured;
}

async function pushWithDocker(
  engine: DockerEngine,
  app: string,
  dockerfile: string,
  host: string,
  cost: Costing,
): Promise<Measured> {
  const file = path.join(room, 'Dockerfile');
  await writeFile(file, dockerfile);
  const tag = 'kiln-bench-push';
  const push = async (version: string): Promise<Cost> => {
    await engine.build(app, file, tag);
    say(`docker push ${version}`);
    return cost(() => engine.push(tag, `${host}/large:${version}`));
  };
  const first = await push('1.0.0');
  await changeOneLine(app);
  const measured = { first, change: await push('1.0.1'), nothing: await push('1.0.1') };
  await engine.forget(tag);
  return measured;
}
