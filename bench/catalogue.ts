/**
 * Queries over a million images on the embedded store, as the server asks them (through the reader's thread), against
 * the same questions to a plain table of tags.
 *
 *   node bench/catalogue.ts [--json] [--images N] [--runs N]
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { parseImageQuery } from '../src/catalog/query-language.ts';
import { systemClock } from '../src/server/system-clock.ts';
import { openStore } from '../src/store/open.ts';
import { loadImages } from './catalogue-load.ts';
import { atMost, type Row, report, say } from './result.ts';

/** The published mix: what scripts and people ask, and what is hard. Each as often as the others. */
const MIX: readonly (readonly [what: string, query: string])[] = [
  ['newest', 'limit=20'],
  ['newest of a component', 'web-0 limit=20'],
  ['current golden for one arch and region', 'web-7:golden arch=amd64 region=us-east-1'],
  ['newest version', 'web-3 order=-version limit=1'],
  ['newest version in stage', 'component=web-3 version>=1.4 env=stage order=-version limit=1'],
  [
    'a range of versions of the largest component',
    'component=web-0 version>=2.50 version<2.60 order=version limit=20',
  ],
  ['machines of one team', 'kind=machine region=eu-west-1 arch=arm64 team=team-4 limit=20'],
  ['by commit', `git.sha=${(4711).toString(16).padStart(40, '0')}`],
  ['a commit that was never baked', `git.sha=${'f'.repeat(40)}`],
  ['by digest', `digest=sha256:${(815).toString(16).padStart(64, '0')}`],
  ['no match: two tags of half of all images each', 'even=yes odd=yes'],
  ['no match: three common tags', 'env=stage even=yes odd=yes order=oldest'],
  [
    'no match: a tag that only old images have, in new versions of the largest',
    'component=web-0 version>=3.100 era=old',
  ],
  [
    'old versions only, newest version first, of the largest',
    'component=web-0 era=old order=-version limit=20',
  ],
  ['all but what is common', 'era!=new env!=stage even!=yes limit=20'],
];

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    images: { type: 'string' },
    runs: { type: 'string' },
    keep: { type: 'string' },
  },
});
const count = Number(values.images ?? 1_000_000);
const runs = Number(values.runs ?? 200);
const directory = values.keep ?? mkdtempSync(path.join(tmpdir(), 'kiln-bench-catalogue-'));
try {
  report(await measure(path.join(directory, 'kiln.db')));
} finally {
  if (values.keep === undefined) rmSync(directory, { recursive: true, force: true });
}

async function measure(file: string): Promise<Row[]> {
  const began = performance.now();
  const isThere = statSync(file, { throwIfNoEntry: false }) !== undefined;
  if (!isThere) {
    await (await openStore({ kind: 'sqlite', file }, { clock: systemClock })).close();
    loadImages(file, count);
    loadPlain(`${file}.plain`);
    say(
      `${count} images written in ${((performance.now() - began) / 1000).toFixed(0)} s, ${(statSync(file).size / 1e6).toFixed(0)} MB`,
    );
  }
  const readerEntry = path.join(import.meta.dirname, '../src/store/sqlite/reader.ts');
  const store = await openStore({ kind: 'sqlite', file }, { clock: systemClock, readerEntry });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  try {
    const times = new Map<string, number[]>(MIX.map(([what]) => [what, []]));
    for (const [, text] of MIX) await store.catalogue.search(parseImageQuery(text), { limit: 50 });
    delay.enable();
    for (let run = 0; run < runs; run += 1) {
      for (const [what, text] of MIX) {
        const startedAt = performance.now();
        await store.catalogue.search(parseImageQuery(text), { limit: 50 });
        times.get(what)?.push(performance.now() - startedAt);
      }
    }
    delay.disable();
    const all = [...times.values()].flat();
    const plain = new DatabaseSync(`${file}.plain`, { readOnly: true });
    const naive = timePlain(plain);
    plain.close();
    return [
      { what: `mix of ${MIX.length} queries, p50`, value: percentile(all, 0.5), unit: 'ms' },
      { what: 'mix, p99', value: percentile(all, 0.99), unit: 'ms', goal: atMost(5) },
      ...MIX.map(
        ([what]): Row => ({
          what: `  ${what}, p99`,
          value: percentile(times.get(what) ?? [], 0.99),
          unit: 'ms',
        }),
      ),
      {
        what: 'two common tags without a match, p50',
        value: percentile(times.get('no match: two tags of half of all images each') ?? [], 0.5),
        unit: 'ms',
        peer: { name: 'plain table of tags', value: naive },
      },
      {
        what: 'server thread held up, p99',
        value: delay.percentile(99) / 1e6 - 1,
        unit: 'ms',
        goal: atMost(5),
      },
    ];
  } finally {
    await store.close();
  }
}

/** What one would write first: a row for each tag of each image, indexed by tag. */
function loadPlain(file: string): void {
  const database = new DatabaseSync(file);
  database.exec(`pragma synchronous = off; pragma journal_mode = memory; begin;
    create table tags (key text, value text, image integer, primary key (key, value, image)) without rowid`);
  const insert = database.prepare("insert into tags values (?, 'yes', ?)");
  for (let n = 2; n <= count; n += 2) insert.run('even', n);
  for (let n = 1; n <= count; n += 2) insert.run('odd', n);
  database.exec('commit; analyze');
  database.close();
}

function timePlain(database: DatabaseSync): number {
  const statement = database.prepare(`select a.image from tags a join tags b on b.image = a.image
    where a.key = 'even' and a.value = 'yes' and b.key = 'odd' and b.value = 'yes' order by a.image desc limit 50`);
  const times = [1, 2, 3].map(() => {
    const startedAt = performance.now();
    statement.all();
    return performance.now() - startedAt;
  });
  return percentile(times, 0.5);
}

function percentile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
