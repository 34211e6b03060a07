/** Executions as people look for them, and which of them are kept. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ExecutionSearch } from '../../src/domain/ports/execution-history.ts';
import type { ExecutionStatus } from '../../src/domain/ports/executions.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import type { StoreUnderTest } from './store-subjects.ts';

interface Sample {
  readonly id: string;
  readonly pipeline: string;
  readonly trigger: string;
  readonly sha: string;
  readonly actor: string;
  readonly createdAtMs: number;
  readonly status: ExecutionStatus;
  readonly error?: string;
}

const HOUR = 3_600_000;

async function put(store: Store, samples: readonly Sample[]): Promise<void> {
  await store.executions.putDefinition('d1', {});
  for (const { id, pipeline, trigger, sha, actor, createdAtMs } of samples) {
    const input = { trigger: { kind: trigger, branch: 'Main_100%' }, commit: { sha }, parameters: {} };
    const origin = { id, pipeline, definition: 'd1', input, priority: 0 };
    await store.executions.create(origin, 'queue', { actor, atMs: createdAtMs });
  }
  const claims = await store.executions.claim('me', 1_000, 0);
  const fences = new Map(claims.map(({ id, fence }) => [id, fence]));
  const appends = samples.map(({ id, status, error, createdAtMs }) =>
    store.executions.append({
      id,
      fence: fences.get(id) ?? -1,
      after: 0,
      events: [{ n: 1 }],
      snapshot: { at: 1 },
      status,
      atMs: createdAtMs + HOUR,
      ...(error !== undefined && { failure: { error, cause: `because of ${error}` } }),
    }),
  );
  await Promise.all(appends);
}

function samples(count: number): readonly Sample[] {
  return Array.from({ length: count }, (_, n) => ({
    id: `exec-${n}`,
    pipeline: n % 3 === 0 ? 'shop' : 'mail',
    trigger: n % 4 === 0 ? 'webhook' : 'api',
    sha: `${n % 10}${'ab'.repeat(19)}c`,
    actor: n % 2 === 0 ? 'alice' : 'bob',
    createdAtMs: n * HOUR,
    status: n % 5 === 0 ? 'FAILED' : n % 7 === 0 ? 'RUNNING' : 'SUCCEEDED',
    ...(n % 5 === 0 && { error: n % 10 === 0 ? 'Cmd.Failed' : 'Kiln.OutcomeUnknown' }),
  }));
}

export function executionHistoryContract(underTest: () => StoreUnderTest): void {
  it('finds executions by all that people know of them, page by page while others come', async () => {
    const { store } = underTest();
    const all = samples(60);
    await put(store, all);
    const isOpen = ({ status }: Sample) => status === 'RUNNING';
    const cases: readonly [ExecutionSearch, (one: Sample) => boolean][] = [
      [{}, () => true],
      [{ pipeline: 'shop' }, ({ pipeline }) => pipeline === 'shop'],
      [{ open: true }, isOpen],
      [{ open: false }, (one) => !isOpen(one)],
      [{ statuses: ['FAILED', 'RUNNING'] }, ({ status }) => status !== 'SUCCEEDED'],
      [{ trigger: 'webhook' }, ({ trigger }) => trigger === 'webhook'],
      [{ commit: '7aba' }, ({ sha }) => sha.startsWith('7')],
      [{ actor: 'bob' }, ({ actor }) => actor === 'bob'],
      [{ text: 'outcomeunknown' }, ({ error }) => error === 'Kiln.OutcomeUnknown'],
      [{ text: 'because of CMD' }, ({ error }) => error === 'Cmd.Failed'],
      [{ text: 'main_100%' }, () => true],
      [{ text: 'mainx100' }, () => false],
      [
        { fromMs: 10 * HOUR, beforeMs: 20 * HOUR },
        (one) => one.createdAtMs >= 10 * HOUR && one.createdAtMs < 20 * HOUR,
      ],
      [
        { pipeline: 'mail', actor: 'alice', statuses: ['FAILED'] },
        (one) => one.pipeline === 'mail' && one.actor === 'alice' && one.status === 'FAILED',
      ],
    ];
    for (const [search, fits] of cases) {
      const expected = all
        .filter(fits)
        .map(({ id }) => id)
        .reverse();
      const ids: string[] = [];
      for (let cursor: string | undefined; ; ) {
        const page = await store.executionHistory.search(search, { limit: 7, ...(cursor && { cursor }) });
        ids.push(...page.items.map(({ id }) => id));
        cursor = page.cursor;
        if (cursor === undefined) break;
      }
      expect([search, ids]).toEqual([search, expected]);
    }
    const first = await store.executionHistory.search({}, { limit: 3 });
    await put(store, [{ ...samples(1)[0], id: 'later' } as Sample]);
    const second = await store.executionHistory.search({}, { limit: 2, cursor: first.cursor ?? '' });
    expect(second.items.map(({ id }) => id)).toEqual(['exec-56', 'exec-55']);
    expect(second.items[1]).toMatchObject({
      error: 'Kiln.OutcomeUnknown',
      trigger: 'api',
      createdBy: 'bob',
      commit: expect.stringMatching(/^5ab/),
      endedAtMs: 56 * HOUR,
    });
    expect(await store.executionHistory.pipelines()).toEqual(['mail', 'shop']);
    const newest = await store.executionHistory.newest(2);
    expect(newest.map(({ id }) => id)).toEqual(['exec-59', 'exec-58', 'later', 'exec-57']);
  });

  it('sweeps what is beyond count or age, and nothing that is open, spared, or the last of its kind', async () => {
    const { store } = underTest();
    const all = samples(60);
    await put(store, all);
    const mail = all.filter(({ pipeline }) => pipeline === 'mail');
    const ended = mail.filter(({ status }) => status !== 'RUNNING');
    const by = { actor: 'janitor', atMs: 100 * HOUR };
    const sweep = (count: number, endedFromMs: number, sparedFromMs: number, limit = 99) =>
      store.executionHistory.sweep({ pipeline: 'mail', count, endedFromMs, sparedFromMs }, limit, by);
    const old = ended.filter(({ createdAtMs }) => createdAtMs + HOUR < 12 * HOUR).map(({ id }) => id);
    const place = { execution: old[0] ?? '', task: 't', server: 'a', state: 'S', startedAtMs: 1 };
    await store.logPlaces.note(place);
    expect(await sweep(99, 12 * HOUR, 12 * HOUR, 3)).toHaveLength(3);
    expect(await sweep(99, 12 * HOUR, 12 * HOUR)).toHaveLength(old.length - 3);
    expect(await sweep(99, 12 * HOUR, 12 * HOUR)).toEqual([]);
    expect(await store.logPlaces.of(place.execution)).toEqual([]);
    expect(await sweep(5, 0, 20 * HOUR)).not.toEqual([]);
    const left = async () => (await store.executionHistory.search({ pipeline: 'mail' }, { limit: 99 })).items;
    expect((await left()).filter(({ endedAtMs = 0 }) => endedAtMs >= 20 * HOUR).length).toBe(
      mail.filter(({ createdAtMs, status }) =>
        status === 'RUNNING' ? false : createdAtMs + HOUR >= 20 * HOUR,
      ).length,
    );
    expect((await sweep(0, 999 * HOUR, 999 * HOUR)).length).toBeGreaterThan(5);
    const kept = await left();
    expect(kept.filter(({ status }) => status === 'RUNNING')).toHaveLength(mail.length - ended.length);
    const last = ended.at(-1)?.id;
    const succeeded = ended.findLast(({ status }) => status === 'SUCCEEDED')?.id;
    expect(kept.filter(({ endedAtMs }) => endedAtMs !== undefined).map(({ id }) => id)).toEqual([
      ...new Set([last, succeeded]),
    ]);
    const gone = old[0] ?? '';
    expect(await store.executions.get(gone)).toBeUndefined();
    expect(await store.executions.events(gone)).toEqual([]);
    expect((await store.executionHistory.search({ pipeline: 'shop' }, { limit: 99 })).items).toHaveLength(20);
  });

  it('keeps, of any history, exactly what the rule says', async () => {
    const { store } = underTest();
    const status = fc.constantFrom<ExecutionStatus>('SUCCEEDED', 'FAILED', 'RUNNING');
    let run = 0;
    const history = fc.array(status, { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(history, fc.nat(4), fc.nat(9), async (statuses, count, age) => {
        run += 1;
        const pipeline = `p${run}`;
        const all = statuses.map(
          (one, n): Sample => ({
            id: `${pipeline}-${n}`,
            pipeline,
            trigger: 'api',
            sha: 'a',
            actor: 'a',
            createdAtMs: n * HOUR,
            status: one,
          }),
        );
        await put(store, all);
        const by = { actor: 'janitor', atMs: 1 };
        await store.executionHistory.sweep(
          { pipeline, count, endedFromMs: age * HOUR, sparedFromMs: 99 * HOUR },
          99,
          by,
        );
        const ended = all.filter((one) => one.status !== 'RUNNING');
        const last = [ended.at(-1), ended.findLast((one) => one.status === 'SUCCEEDED')];
        const expected = all.filter((one) => {
          const newer = ended.filter(({ createdAtMs }) => createdAtMs > one.createdAtMs).length;
          const isKept = newer < Math.max(1, count) && one.createdAtMs + HOUR >= age * HOUR;
          return one.status === 'RUNNING' || last.includes(one) || isKept;
        });
        const { items } = await store.executionHistory.search({ pipeline }, { limit: 99 });
        expect(items.map(({ id }) => id).reverse()).toEqual(expected.map(({ id }) => id));
      }),
      { numRuns: 15 },
    );
  });
}
