/** Writers in processes of their own, killed at random moments: what they were told is kept, is kept. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../src/domain/ports/store.ts';
import type { StoreSettings } from '../../src/store/open.ts';
import { POSTGRES_MISSING, postgresBinaries } from '../contracts/postgres.ts';
import { open, postgresSubject, type StoreSubject, sqliteSubject } from '../contracts/store-subjects.ts';

const WRITER = fileURLToPath(new URL('./store-writer.ts', import.meta.url));
const ROUNDS = 6;
const WRITERS = 2;

interface Writer {
  readonly name: string;
  readonly process: ChildProcess;
  /** The last acknowledged number, -1 at first. */
  acknowledged(): number;
}

function startWriter(settings: StoreSettings, name: string): Writer {
  const child = spawn(process.execPath, [WRITER, JSON.stringify(settings), name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return {
    name,
    process: child,
    acknowledged: () =>
      Number(
        text
          .slice(0, text.lastIndexOf('\n') + 1)
          .trimEnd()
          .split('\n')
          .at(-1) || -1,
      ),
  };
}

/** Once every writer has written some, a random while later, so that the kill hits any moment of a write. */
async function killAtRandom(writers: readonly Writer[]): Promise<void> {
  await expect
    .poll(() => Math.min(...writers.map((writer) => writer.acknowledged())), { timeout: 30_000 })
    .toBeGreaterThan(20);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
  const closed = writers.map((writer) => once(writer.process, 'close'));
  for (const writer of writers) writer.process.kill('SIGKILL');
  await Promise.all(closed);
}

/** Follows all events while the writers die; ends once told that no more will come. */
async function follow(store: Store, ended: AbortSignal): Promise<readonly { subject: string; n: unknown }[]> {
  const seen: { subject: string; n: unknown }[] = [];
  for (let last = 0; ; ) {
    const events = await store.events.after(last, 50);
    for (const event of events) {
      expect(event.revision).toBe(last + 1);
      last = event.revision;
      seen.push({ subject: event.subject, n: event.data.n });
    }
    if (events.length > 0) continue;
    if (ended.aborted) return seen;
    await store.events.waitAfter(last, ended).catch(() => undefined);
  }
}

function survivesKills(makeSubject: () => Promise<StoreSubject>): void {
  let subject: StoreSubject;
  beforeAll(async () => {
    subject = await makeSubject();
  });
  afterAll(() => subject?.close());

  it('loses nothing acknowledged when writers are killed, and readers miss nothing', async () => {
    const settings = await subject.fresh();
    const store = await open(settings);
    const ended = new AbortController();
    const following = follow(store, ended.signal);
    try {
      const all: Writer[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const writers = Array.from({ length: WRITERS }, (_, n) => startWriter(settings, `${round}-${n}`));
        all.push(...writers);
        await killAtRandom(writers);
      }
      // Waits for whatever write was still on its way, so that nothing comes after the last look.
      await store.ping(AbortSignal.timeout(60_000));
      ended.abort();
      const seen = await following;
      for (const { name, acknowledged } of all) {
        const written = seen.filter((event) => event.subject === name).map((event) => event.n);
        // All that was acknowledged, in order, and at most the one that was about to be.
        expect(written).toEqual(Array.from({ length: written.length }, (_, n) => n));
        expect(written.length - 1 - acknowledged()).toBeOneOf([0, 1]);
      }
      expect(await store.events.revision()).toBe(seen.length);
    } finally {
      ended.abort();
      await store.close();
    }
  });
}

describe('killed writers on sqlite', () => survivesKills(async () => sqliteSubject()));

if (postgresBinaries() !== undefined || process.env.CI === 'true') {
  describe('killed writers on postgres', () => survivesKills(postgresSubject));
} else {
  it.skip(`killed writers on postgres: ${POSTGRES_MISSING}`);
}
