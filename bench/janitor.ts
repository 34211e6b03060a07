/**
 * A full pass of the janitor over a million images on the embedded store, in a process of its own, so that its memory
 * can be told: the whole view is read and decided on in the reader's thread, then a tenth of all images is announced,
 * which the next pass sweeps.
 *
 *   node bench/janitor.ts [--json] [--images N] [--keep DIR]
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { Janitor, type JanitorRun } from '../src/catalog/janitor.ts';
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
    days: { type: 'string' },
  },
});

/** As `kiln serve` starts the server. */
const SERVER_FLAGS = ['--max-semi-space-size=2'];
const DAY_MS = 24 * 3600_000;
/** By then the notice of whatever the first pass has announced is over. */
const NOTICE_DAYS = 7;

if (values.pass !== undefined) {
  const passed = await pass(values.pass, NEWEST_MS + Number(values.days ?? 0) * DAY_MS);
  process.stdout.write(JSON.stringify(passed));
} else {
  const count = Number(values.images ?? 1_000_000);
  const directory = values.keep ?? mkdtempSync(path.join(tmpdir(), 'kiln-bench-janitor-'));
  try {
    const file = path.join(directory, 'kiln.db');
    if (!existsSync(file)) {
      await (await openStore({ kind: 'sqlite', file }, { clock: systemClock })).close();
      loadImages(file, count);
      say(`${count} images written`);
    }
    const announced = passAlone(file, 0);
    const swept = passAlone(file, NOTICE_DAYS);
    say(`${JSON.stringify(announced.run)}\n${JSON.stringify(swept.run)}`);
    report([
      {
        what: `janitor, decision over ${announced.run.images} images`,
        value: announced.decideMs,
        unit: 'ms',
      },
      {
        what: `janitor, full pass that announces ${announced.run.announced}`,
        value: announced.tookMs,
        unit: 'ms',
        goal: atMost(10_000),
      },
      {
        what: 'janitor, the largest that the process was in it',
        value: announced.peakMb,
        unit: 'MB',
        goal: atMost(300),
      },
      { what: 'janitor, the same process before it', value: announced.idleMb, unit: 'MB' },
      {
        what: `janitor, pass that announces ${swept.run.announced} and sweeps ${swept.run.swept}`,
        value: swept.tookMs,
        unit: 'ms',
        goal: atMost(10_000),
      },
      {
        what: 'janitor, the largest that the process was in that',
        value: swept.peakMb,
        unit: 'MB',
        goal: atMost(300),
      },
      { what: 'janitor, the server held up while it sweeps, p99', value: swept.heldUpMs, unit: 'ms' },
    ]);
  } finally {
    if (values.keep === undefined) rmSync(directory, { recursive: true, force: true });
  }
}

/** In a process that does nothing else: this one has grown while it wrote the images. */
function passAlone(file: string, days: number): Passed {
  const args = [...SERVER_FLAGS, import.meta.filename, '--pass', file, '--days', String(days)];
  const child = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(child.stdout);
}

interface Passed {
  readonly tookMs: number;
  readonly decideMs: number;
  readonly idleMb: number;
  readonly peakMb: number;
  readonly heldUpMs: number;
  readonly run: JanitorRun;
}

async function pass(file: string, nowMs: number): Promise<Passed> {
  /** As if the newest image had been baked so long ago. */
  const clock = { ...systemClock, now: () => nowMs };
  const readerEntry = path.join(import.meta.dirname, '../src/store/sqlite/reader.ts');
  const store = await openStore({ kind: 'sqlite', file }, { clock, readerEntry });
  await store.janitor.setEnabled(true, { actor: 'bench', atMs: nowMs });
  await store.janitor.noteUses(nowMs);
  const janitor = new Janitor({
    store,
    clock,
    collectBlobs: async () => ({ blobs: 0, bytes: 0 }),
    removals: [],
  });
  const signal = new AbortController().signal;
  const idleMb = peakRssMb();
  const startedAt = performance.now();
  await janitor.run({ actor: 'bench', dryRun: true }, signal);
  const decideMs = performance.now() - startedAt;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const runAt = performance.now();
  const run = await janitor.run({ actor: 'bench', dryRun: false }, signal);
  const tookMs = performance.now() - runAt;
  delay.disable();
  const peakMb = peakRssMb();
  await store.close();
  return { tookMs, decideMs, idleMb, peakMb, heldUpMs: delay.percentile(99) / 1e6 - 1, run };
}

/** Of this process alone; what `getrusage` says has the parent's in it, from before the program was loaded. */
function peakRssMb(): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}
