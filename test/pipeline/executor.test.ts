/** What carrying many executions on costs, and whose turn it is: figures in seconds are bench/pipeline.ts's affair. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { loadStateMachine } from '../../src/pipeline/asl/load.ts';
import { Executor } from '../../src/pipeline/executor/executor.ts';
import { Machines } from '../../src/pipeline/executor/machines.ts';
import type { Task } from '../../src/pipeline/task.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { Database } from '../../src/store/database.ts';
import type { Engine } from '../../src/store/engine.ts';
import { Events } from '../../src/store/events.ts';
import { Executions } from '../../src/store/executions.ts';
import { migrate } from '../../src/store/migrate.ts';
import { openSqlite } from '../../src/store/sqlite/connection.ts';

let directory: string;
let engine: Engine;
let database: Database;
let executions: Executions;
let made = 0;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'kiln-executor-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));
beforeEach(async () => {
  made += 1;
  const file = path.join(directory, `${made}.db`);
  engine = await openSqlite(file, { clock: systemClock, random: Math.random });
  await migrate(engine, 1);
  database = new Database(engine);
  executions = new Executions(database);
  return () => engine.close();
});

function executor(work: Partial<Task>, places = 100): Executor {
  const task: Task = {
    name: 'work',
    does: 'answers',
    repeat: 'same-key',
    takesPlace: true,
    run: async () => 1,
    ...work,
  };
  return new Executor({
    store: executions,
    events: new Events(database),
    clock: systemClock,
    log: { warn: (fields, message) => expect.unreachable(`${message}: ${JSON.stringify(fields)}`) },
    holder: 'test',
    shares: false,
    randomBytes,
    tasks: new Map([['work', task]]),
    taskName: (resource) => resource,
    places,
  });
}

async function create(machine: object, ids: readonly string[], input: object = {}, priority = 0) {
  const definition = await new Machines(executions).put(await loadStateMachine(machine));
  for (const id of ids)
    await executions.create({ id, pipeline: 'p', definition, input, priority }, 'queue', {
      actor: 'test',
      atMs: 1,
    });
}

function chain(length: number): object {
  const states = Array.from({ length }, (_, n) => {
    const next = n === length - 1 ? { End: true } : { Next: `S${n + 1}` };
    return [`S${n}`, { Type: 'Task', Resource: 'work', ...next }] as const;
  });
  return { StartAt: 'S0', States: Object.fromEntries(states) };
}

const names = (count: number) => Array.from({ length: count }, (_, n) => `e${n}`);
const open = async () => (await executions.list({ open: true }, { limit: 1 })).items.length;

it('writes ten transitions and more at once when many executions move, also out of step', async () => {
  const [count, states] = [100, 20];
  await create(chain(states), names(count));
  const write = vi.spyOn(engine, 'write');
  const carrying = executor({
    takesPlace: false,
    async run({ key }) {
      for (let turns = key.charCodeAt(key.length - 1) % 7; turns > 0; turns -= 1) await nextTurn();
      return 1;
    },
  });
  await carrying.start();
  await expect.poll(open, { timeout: 60_000 }).toBe(0);
  await carrying.close();
  expect((count * states) / write.mock.calls.length).toBeGreaterThan(10);
});

it('begins the more urgent first, and as many tasks at once as there are places', async () => {
  const begun: string[] = [];
  let inside = 0;
  let most = 0;
  const gate = Promise.withResolvers<void>();
  const carrying = executor(
    {
      async run({ execution }) {
        begun.push(execution);
        inside += 1;
        most = Math.max(most, inside);
        await gate.promise;
        inside -= 1;
        return 1;
      },
    },
    2,
  );
  await create(chain(1), ['early', 'earlier']);
  await carrying.start();
  await expect.poll(() => begun.length).toBe(2);
  await create(chain(1), ['low'], {}, -1);
  await create(chain(1), ['plain']);
  await create(chain(1), ['urgent'], {}, 5);
  await expect.poll(() => carrying.held).toBe(5);
  gate.resolve();
  await expect.poll(open).toBe(0);
  await carrying.close();
  expect(begun.slice(2)).toEqual(['urgent', 'plain', 'low']);
  expect(most).toBe(2);
});

it('forgets the state of those that wait: it costs what the store keeps, not what they hold', async () => {
  const [count, each] = [1_000, 20_000];
  const wait = { StartAt: 'Wait', States: { Wait: { Type: 'Wait', Seconds: 3_600, End: true } } };
  await create(wait, names(count), { text: 'x'.repeat(each) });
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const heap = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = heap();
  const carrying = executor({});
  await carrying.start();
  await expect.poll(() => carrying.held, { timeout: 60_000 }).toBe(count);
  await expect.poll(async () => (await executions.load(['e0']))[0]?.record.status).toBe('RUNNING');
  // All of them would be 20 MB.
  await expect.poll(() => (heap() - before) / (count * each), { timeout: 20_000 }).toBeLessThan(0.7);
  await carrying.close();
});
