/**
 * A full pass of the janitor over a million images on the embedded store, in a process of its own, so that its memory
 * can be told: the whole view is read and decided on in the reader's thread, then a tenth of all images is announced.
 *
 *   node bench/janitor.ts [--json] [--images N] [--keep DIR]
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Janitor } from '../src/catalog/janitor.ts';
import { systemClock } from '../src/server/system-clock.ts';
import { openStore } from '../src/store/open.ts';
import { loadImages, NEWEST_MS } from './catalogue-load.ts';
import { atMost, report, say } from './result.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    images: { type: 'string' },
    keep: { type: 'string' },
    pass: { type: 'string' },
  },
});

/** As if the newest image had just been baked. */
const clock = { ...systemClock, now: () => NEWEST_MS };

if (values.pass !== undefined) await pass(values.pass);
else {
  const count = Number(values.images ?? 1_000_000);
  const directory = values.keep ?? mkdtempSync(path.join(tmpdir(), 'kiln-bench-janitor-'));
  try {
    const file = path.join(directory, 'kiln.db');
    if (!existsSync(file)) {
      await (await openStore({ kind: 'sqlite', file }, { clock: systemClock })).close();
      loadImages(file, count);
      say(`${count} images written`);
    }
    const child = spawnSync(process.execPath, [import.meta.filename, '--pass', file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { tookMs, rssMb, decideMs, run } = JSON.parse(child.stdout);
    say(JSON.stringify(run));
    report([
      { what: `janitor, decision over ${run.images} images`, value: decideMs, unit: 'ms' },
      { what: 'janitor, full pass', value: tookMs, unit: 'ms', goal: atMost(10_000) },
      { what: 'janitor, memory of the whole process', value: rssMb, unit: 'MB', goal: atMost(300) },
    ]);
  } finally {
    if (values.keep === undefined) rmSync(directory, { recursive: true, force: true });
  }
}

async function pass(file: string): Promise<void> {
  const readerEntry = path.join(import.meta.dirname, '../src/store/sqlite/reader.ts');
  const store = await openStore({ kind: 'sqlite', file }, { clock, readerEntry });
  await store.janitor.setEnabled(true, { actor: 'bench', atMs: NEWEST_MS });
  await store.janitor.noteUses(NEWEST_MS);
  const janitor = new Janitor({ store, clock, collectBlobs: async () => ({ blobs: 0, bytes: 0 }) });
  const signal = new AbortController().signal;
  const startedAt = performance.now();
  await janitor.run({ actor: 'bench', dryRun: true }, signal);
  const decideMs = performance.now() - startedAt;
  const runAt = performance.now();
  const run = await janitor.run({ actor: 'bench', dryRun: false }, signal);
  const tookMs = performance.now() - runAt;
  const rssMb = process.resourceUsage().maxRSS / 1024;
  await store.close();
  process.stdout.write(JSON.stringify({ tookMs, decideMs, rssMb, run }));
}
