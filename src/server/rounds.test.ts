import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Rounds } from './rounds.ts';

it('goes on after a round that failed, and ends the one under way when it is closed', async () => {
  const told: unknown[] = [];
  const third = Promise.withResolvers<void>();
  let began = 0;
  const rounds = new Rounds(
    {
      everyMs: 1,
      clock: { sleep: (ms, signal) => sleep(ms, undefined, { signal }) },
      log: { warn: (_, message) => told.push(message) },
      onFailure: 'it could not be done',
    },
    async (signal) => {
      began += 1;
      if (began === 1) throw new Error('once');
      if (began < 3) return;
      third.resolve();
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => reject(signal.reason));
      await promise;
    },
  );
  rounds.start();
  await third.promise;
  await rounds.close();
  expect(began).toBe(3);
  expect(told).toEqual(['it could not be done']);
});
