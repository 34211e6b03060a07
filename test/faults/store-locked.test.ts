/** Another process holds the write lock of the embedded database. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Store } from '../../src/domain/ports/store.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { openStore } from '../../src/store/open.ts';
import { by } from '../contracts/store-samples.ts';

let directory: string;
let store: Store;
let other: DatabaseSync;
/** Pauses that the store made while it waited for the lock. */
let pauses: number;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kiln-store-locked-'));
  const file = join(directory, 'kiln.db');
  pauses = 0;
  const pause = async () => {
    pauses += 1;
    await sleep(1);
  };
  store = await openStore({ kind: 'sqlite', file }, { clock: { ...systemClock, sleep: pause } });
  other = new DatabaseSync(file);
  other.exec('begin immediate');
});

afterEach(async () => {
  other.close();
  await store.close();
  rmSync(directory, { recursive: true, force: true });
});

it('reads on, and writes as soon as the lock is free, in the order asked for', async () => {
  const writes = [1, 2, 3].map((n) => store.events.append('x', 'y', { n }, by));
  await expect.poll(() => pauses).toBeGreaterThan(5);
  expect(await store.events.after(0, 10)).toEqual([]);
  other.exec('rollback');
  expect(await Promise.all(writes)).toEqual([1, 2, 3]);
});

it('gives up as busy, retryable, and says where to look', async () => {
  await expect(store.events.append('x', 'y', {}, by)).rejects.toMatchObject({
    code: 'store.busy',
    retryable: true,
    next: expect.stringContaining('second Kiln'),
  });
  other.exec('rollback');
  expect(await store.events.append('x', 'y', {}, by)).toBe(1);
});
