/** The servers that work on one store: where each is reached, when it was seen, and whether it said that it stops. */
import { expect, it } from 'vitest';
import { goneSinceMs } from '../../src/domain/known-server.ts';
import { open, type StoreUnderTest } from './store-subjects.ts';

const A = {
  id: 'a',
  url: 'https://a.example.com:7070',
  host: 'a',
  version: '1.0.0',
  startedAtMs: 10,
  seenAtMs: 10,
};
const B = { ...A, id: 'b', host: 'b', startedAtMs: 5, seenAtMs: 20 };

export function serversContract(underTest: () => StoreUnderTest): void {
  it('knows each server as it last said, and forgets those that nobody has seen for long', async () => {
    const { store, settings } = underTest();
    await Promise.all([store.servers.beat(A, 0), store.servers.beat(B, 0)]);
    const other = await open(settings);
    expect(await other.servers.list()).toEqual([B, A]);
    await other.close();
    await store.servers.stopped('a', 30);
    expect(await store.servers.get('a')).toEqual({ ...A, stoppedAtMs: 30 });
    const again = { ...A, url: 'https://a.example.com:7071', startedAtMs: 40, seenAtMs: 40 };
    await store.servers.beat(again, 0);
    expect(await store.servers.get('a')).toEqual(again);
    await store.servers.beat({ ...again, seenAtMs: 60 }, 21);
    expect(await store.servers.list()).toEqual([{ ...again, seenAtMs: 60 }]);
    expect(await store.servers.get('b')).toBeUndefined();
  });

  it('says which servers have logs of an execution, the newest first, for as long as that is kept', async () => {
    const { logPlaces } = underTest().store;
    const place = { execution: 'e', task: 't1', server: 'a', state: 'Build', startedAtMs: 10 };
    const again = { ...place, server: 'b', startedAtMs: 30 };
    await logPlaces.note(place);
    await logPlaces.note(again);
    await logPlaces.note({ ...place, execution: 'other' });
    await logPlaces.note({ ...place, task: 't2', startedAtMs: 20 });
    // A task that is asked for again on the same server writes its log anew.
    await logPlaces.note({ ...place, startedAtMs: 40 });
    expect(await logPlaces.of('e')).toEqual([
      { ...place, startedAtMs: 40 },
      again,
      { ...place, task: 't2', startedAtMs: 20 },
    ]);
  });

  it('takes one for gone when it said so, or is silent for three heartbeats', () => {
    expect(goneSinceMs({ seenAtMs: 1_000 }, 16_000)).toBeUndefined();
    expect(goneSinceMs({ seenAtMs: 1_000 }, 16_001)).toBe(1_000);
    expect(goneSinceMs({ seenAtMs: 1_000, stoppedAtMs: 1_500 }, 1_600)).toBe(1_500);
  });
}
