/**
 * The whole command `kiln bake` of a large app beside `docker build` with BuildKit, cold, after a one-line change, and
 * with nothing changed.
 *
 *   node bench/bake.ts [--tree DIR] [--rounds N] [--json]
 *
 * Cold is an empty state directory (for Docker: an emptied build cache) with the file cache warm. Both Dockerfiles are
 * FROM scratch, so that no base image is in the comparison. Rounds of the two alternate, so that whatever else the
 * machine does meets both. --tree names a folder that holds the dependencies already.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Kiln } from '../test/e2e/kiln.ts';
import { DockerEngine } from './docker-engine.ts';
import { changeOneLine, makeLargeApp } from './large-app.ts';
import { withKiln } from './own-kiln.ts';
import { atMost, median, type Result, type Row, report, say, timed } from './result.ts';

const COLD_ROUNDS = 3;
const DOCKERFILES = {
  copyAll: 'FROM scratch\nCOPY . /app\n',
  /** Dependencies in a layer of their own, which a change of the app's own code leaves alone. */
  ordered: 'FROM scratch\nCOPY node_modules /app/node_modules\nCOPY package.json server.js /app/\n',
};
type Dockerfile = keyof typeof DOCKERFILES;

const { values } = parseArgs({
  options: {
    tree: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    json: { type: 'boolean' },
  },
});
const rounds = Number(values.rounds);
const room = await mkdtemp(path.join(tmpdir(), 'kiln-bench-bake-'));
const app = path.join(room, 'app');

const times = {
  kiln: { cold: [] as number[], change: [] as number[], nothing: [] as number[] },
  copyAll: { cold: [] as number[], change: [] as number[] },
  ordered: { change: [] as number[] },
};

async function withServer(work: (kiln: Kiln) => Promise<void>): Promise<void> {
  await withKiln(async (kiln) => {
    await kiln.serve();
    await work(kiln);
  });
}

function buildWith(engine: DockerEngine, name: Dockerfile): Promise<void> {
  return engine.build(app, path.join(room, name), tagOf(name));
}

function tagOf(name: Dockerfile): string {
  return `kiln-bench-${name.toLowerCase()}`;
}

async function measureCold(engine: DockerEngine | undefined): Promise<void> {
  for (let round = 0; round < COLD_ROUNDS; round++) {
    await withServer(async (kiln) => {
      times.kiln.cold.push(await timed(() => kiln.json('bake', app)));
    });
    if (engine === undefined) continue;
    await engine.forget(tagOf('copyAll'));
    times.copyAll.cold.push(await timed(() => buildWith(engine, 'copyAll')));
  }
}

async function measureChanges(kiln: Kiln, engine: DockerEngine | undefined): Promise<void> {
  await kiln.json('bake', app);
  if (engine !== undefined) await buildWith(engine, 'ordered');
  for (let round = 0; round < rounds; round++) {
    await changeOneLine(app);
    times.kiln.change.push(await timed(() => kiln.json('bake', app)));
    times.kiln.nothing.push(await timed(() => kiln.json('bake', app)));
    if (engine === undefined) continue;
    times.ordered.change.push(await timed(() => buildWith(engine, 'ordered')));
    times.copyAll.change.push(await timed(() => buildWith(engine, 'copyAll')));
  }
}

function rows(isCompared: boolean): Row[] {
  const row = (what: string, ours: number[], name: string, theirs: number[], goal: number): Result => ({
    what,
    value: median(ours),
    unit: 'ms',
    ...(isCompared ? { peer: { name, value: median(theirs) } } : {}),
    goal: atMost(goal, 'ratio'),
  });
  const { kiln, copyAll, ordered } = times;
  return [
    row('bake, cold', kiln.cold, 'COPY . /app', copyAll.cold, 1 / 3),
    row('bake, one line changed', kiln.change, 'ordered Dockerfile', ordered.change, 1),
    row('bake, one line changed', kiln.change, 'COPY . /app', copyAll.change, 1 / 8),
    { what: 'bake, nothing changed', value: median(kiln.nothing), unit: 'ms' },
  ];
}

let engine: DockerEngine | undefined;
try {
  await makeLargeApp(app, values.tree);
  for (const [name, text] of Object.entries(DOCKERFILES)) await writeFile(path.join(room, name), text);
  engine = await DockerEngine.open(path.join(room, 'docker'));
  say('cold…');
  await measureCold(engine);
  say('with changes…');
  await withServer((kiln) => measureChanges(kiln, engine));
  say(JSON.stringify(times, (_, value) => (typeof value === 'number' ? Math.round(value) : value)));
  const missing = { what: 'docker build', missing: 'no engine answers (Debian: docker.io; as root)' };
  report(engine === undefined ? [...rows(false), missing] : rows(true));
} finally {
  await engine?.close();
  await rm(room, { recursive: true, force: true });
}
