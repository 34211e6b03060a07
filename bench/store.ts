/**
 * Durable writes per second of the embedded store, and fsyncs per write (counted by strace where it is
 * installed; the floor is one). Run: node bench/store.ts
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openStore } from '../src/store/open.ts';

const WRITES = 5_000;
const FSYNC_SAMPLE = 500;

const clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms: number, signal?: AbortSignal) => sleep(ms, undefined, signal && { signal }),
};

/** Writes one after the other; answers the milliseconds they took. */
async function write(count: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'kiln-bench-store-'));
  try {
    const store = await openStore({ kind: 'sqlite', file: join(directory, 'kiln.db') }, { clock });
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
  console.log(`${Math.round((WRITES / tookMs) * 1000)} durable writes/s, each an event and an audit line`);
  const fsyncs = countFsyncs();
  const counted =
    fsyncs === undefined
      ? 'not counted: strace is not installed (Debian package strace)'
      : (fsyncs / FSYNC_SAMPLE).toFixed(2);
  console.log(`fsyncs per write: ${counted}`);
}
