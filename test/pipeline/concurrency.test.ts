/** What a pipeline's file says of other executions, whoever starts it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { Machines } from '../../src/pipeline/executor/machines.ts';
import { Pipelines } from '../../src/pipeline/pipelines.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { open, sqliteSubject } from '../contracts/store-subjects.ts';

const STATES = 'StartAt: A\nStates: {A: {Type: Succeed}}\n';

it('puts executions into the group that the file names, before any that the caller does', async () => {
  const subject = sqliteSubject();
  const store = await open(await subject.fresh());
  const directory = await mkdtemp(path.join(tmpdir(), 'kiln-concurrency-'));
  try {
    let made = 0;
    const pipelines = new Pipelines({
      store: store.executions,
      events: store.events,
      machines: new Machines(store.executions),
      clock: systemClock,
      newId: () => {
        made += 1;
        return String(made);
      },
      describe: async () => ({ component: 'shop', environments: [] }),
      commitOf: async () => ({}),
      restore: async () => undefined,
    });
    const starter = { actor: 'test' };
    const start = async (head: string, more: object = {}) => {
      await writeFile(path.join(directory, 'pipeline.yaml'), head + STATES);
      return pipelines.start({ directory, trigger: 'api', group: 'callers', ...more }, starter);
    };
    const first = await start('Concurrency: {group: live, onOpen: queue}\nPriority: 5\n');
    expect(first).toMatchObject({ group: 'live', priority: 5 });
    expect(await start('Priority: 5\n', { priority: -1 })).toMatchObject({ group: 'callers', priority: -1 });
    await expect(start('Concurrency: {group: live, onOpen: refuse}\n')).rejects.toThrow(first.id);
    expect((await pipelines.show(first.id)).waits).toMatchObject([
      { text: 'waits for a server to begin it' },
    ]);
    const queued = await start('Concurrency: {group: live, onOpen: queue}\n');
    expect((await pipelines.show(queued.id)).waits).toMatchObject([
      { text: `waits for ${first.id} of the group "live"` },
    ]);
    await start('Concurrency: {group: live, onOpen: newest}\n');
    expect(await store.executions.signals(first.id)).toMatchObject([{ body: { error: 'Kiln.Superseded' } }]);
    await expect(start('Concurrency: {onOpen: never}\nPriority: high\n')).rejects.toMatchObject({
      faults: [
        { path: 'Concurrency.group', location: { line: 1 } },
        { path: 'Concurrency.onOpen', location: { line: 1 } },
        { path: 'Priority', location: { line: 2 } },
      ],
    });
  } finally {
    await store.close();
    await subject.close();
    await rm(directory, { recursive: true });
  }
});
