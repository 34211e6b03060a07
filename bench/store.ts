/**
 * Durable writes per second of the embedded store, and fsyncs per write (counted by strace where it is installed; the
 * floor is one).
 *
 *   node bench/store.ts [--json]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../src/server/system-clock.ts';
import { openStore } from '../src/store/open.ts';
import { atMost, type Row, report } from './result.ts';

const WRITES = 5_000;
const FSYNC_SAMPLE = 500;

/** Writes one after the other; answers the milliseconds they took. */
async function write(count: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'kiln-bench-store-'));
  try {
    const store = await openStore(
      { kind: 'sqlite', file: join(directory, 'kiln.db') },
      { clock: systemClock },
    );
    const began = performance.now();
    for (let n = 0; n < count; n += 1) {
      await store.audit.append('bench.write', 'store', { n }, { actor: 'bench', atMs: n });
    }
    const tookMs = performance.now() - began;
    await store.close();
    return tookMs;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function countFsyncs(): number | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'kiln-bench-strace-'));
  const log = join(directory, 'calls');
  try {
    const self = [process.execPath, fileURLToPath(import.meta.url), '--sample'];
    const traced = spawnSync('strace', ['-f', '-e', 'trace=fsync,fdatasync', '-o', log, ...self]);
    if (traced.status !== 0) return undefined;
    return readFileSync(log, 'utf8').match(/f(?:data)?sync\(/g)?.length ?? 0;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (process.argv.includes('--sample')) {
  await write(FSYNC_SAMPLE);
} else {
  const tookMs = await write(WRITES);
  const fsyncs = countFsyncs();
  const counted: Row =
    fsyncs === undefined
      ? { what: 'store, fsyncs a write', missing: 'strace is not installed (Debian: strace)' }
      : { what: 'store, fsyncs a write', value: fsyncs / FSYNC_SAMPLE, unit: '', goal: atMost(1.2) };
  report([{ what: 'store, durable writes', value: (WRITES / tookMs) * 1000, unit: '/s' }, counted]);
}
