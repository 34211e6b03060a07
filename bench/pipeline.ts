/**
 * Durable state transitions of the pipeline executor (embedded, and by two servers on one Postgres), transitions an fsync (counted by strace where it is installed), how late a Wait wakes,
 * and the memory of executions that wait.
 *
 *   node bench/pipeline.ts [--json]
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../src/domain/ports/store.ts';
import { loadStateMachine } from '../src/pipeline/asl/load.ts';
import { Executor } from '../src/pipeline/executor/executor.ts';
import { Machines } from '../src/pipeline/executor/machines.ts';
import type { Task } from '../src/pipeline/task.ts';
import { systemClock } from '../src/server/system-clock.ts';
import { openStore } from '../src/store/open.ts';
import { POSTGRES_MISSING, PrivatePostgres, postgresBinaries } from '../test/contracts/postgres.ts';
import { answered } from './pipeline-task.ts';
import { atLeast, atMost, type Row, report } from './result.ts';

const EXECUTIONS = 400;
const STATES = 50;
const WAITING = 10_000;
const WAIT_SECONDS = 2;
const SLOWEST_TASK_MS = 20;

function executorOn(store: Store, task: Task = answered): Executor {
  return new Executor({
    store: store.executions,
    events: store.events,
    clock: systemClock,
    log: { warn: (fields, message) => console.error(message, fields) },
    holder: 'bench',
    shares: false,
    randomBytes,
    tasks: new Map([['answered', task]]),
    taskName: (resource) => resource,
    places: 100,
  });
}

const LONG = {
  StartAt: 'S0',
  States: Object.fromEntries(
    Array.from({ length: STATES }, (_, n) => [
      `S${n}`,
      { Type: 'Task', Resource: 'answered', ...(n === STATES - 1 ? { End: true } : { Next: `S${n + 1}` }) },
    ]),
  ),
};

async function create(store: Store, machines: Machines, count: number, machine: object): Promise<void> {
  const definition = await machines.put(await loadStateMachine(machine));
  for (let n = 0; n < count; n += 1) {
    const origin = { id: `e${n}`, pipeline: 'bench', definition, input: { n }, priority: 0 };
    await store.executions.create(origin, 'queue', { actor: 'bench', atMs: systemClock.now() });
  }
}

async function withStore<Result>(work: (store: Store) => Promise<Result>): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'kiln-bench-pipeline-'));
  const store = await openStore({ kind: 'sqlite', file: join(directory, 'kiln.db') }, { clock: systemClock });
  try {
    return await work(store);
  } finally {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function untilEnded(store: Store): Promise<void> {
  while ((await store.executions.list({ open: true }, { limit: 1 })).items.length > 0) await sleep(5);
}

/** All states of all executions, one task each: an append for each. */
function transitions(): Promise<readonly Row[]> {
  return withStore(async (store) => {
    const executor = executorOn(store);
    await create(store, executor.machines, EXECUTIONS, LONG);
    const began = performance.now();
    await executor.start();
    await untilEnded(store);
    const seconds = (performance.now() - began) / 1_000;
    await executor.close();
    const events = EXECUTIONS * (STATES + 1);
    return [
      { what: 'pipeline, durable transitions', value: events / seconds, unit: '/s', goal: atLeast(5_000) },
    ];
  });
}

/** The same on Postgres, by two servers that share the work. */
async function sharedTransitions(): Promise<readonly Row[]> {
  if (postgresBinaries() === undefined) throw new Error(POSTGRES_MISSING);
  const postgres = await PrivatePostgres.start();
  const settings = { kind: 'postgres', url: await postgres.database() } as const;
  const store = await openStore(settings, { clock: systemClock });
  const entry = join(import.meta.dirname, 'pipeline-server.ts');
  // More than one server claims at once: each begins with half of them.
  await create(store, new Machines(store.executions), 2 * EXECUTIONS, LONG);
  const servers = ['one', 'two'].map((name) =>
    spawn(process.execPath, [entry, JSON.stringify(settings), name], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  const ended = servers.map((server) => once(server, 'exit'));
  await Promise.all(servers.map(({ stdout }) => once(stdout, 'data')));
  for (const { stdin } of servers) stdin.end('go\n');
  const began = performance.now();
  await untilEnded(store);
  const seconds = (performance.now() - began) / 1_000;
  const { items } = await store.executions.list({}, { limit: 2 * EXECUTIONS });
  const shares = Map.groupBy(items, ({ holder }) => holder);
  for (const server of servers) server.kill('SIGTERM');
  await Promise.all(ended);
  await store.close();
  await postgres.close();
  if (shares.size !== 2) throw new Error('one of the servers did nothing');
  const value = (2 * EXECUTIONS * (STATES + 1)) / seconds;
  return [
    {
      what: 'pipeline, durable transitions, two servers on Postgres',
      value,
      unit: '/s',
      goal: atLeast(2_000),
    },
  ];
}

/** As long as it likes, so that no two executions keep step. */
const slowly: Task = { ...answered, run: () => sleep(Math.random() * SLOWEST_TASK_MS, 1) };

/** Every fsync of a process that opens the store, carries all executions to their ends out of step, and closes. */
async function transitionsAnFsync(): Promise<Row> {
  const what = 'pipeline, transitions an fsync';
  const directory = mkdtempSync(join(tmpdir(), 'kiln-bench-fsyncs-'));
  const [file, log] = [join(directory, 'kiln.db'), join(directory, 'calls')];
  try {
    const store = await openStore({ kind: 'sqlite', file }, { clock: systemClock });
    await create(store, new Machines(store.executions), EXECUTIONS, LONG);
    await store.close();
    const self = [process.execPath, join(import.meta.dirname, 'pipeline.ts'), '--sample', file];
    const options = ['-f', '--seccomp-bpf', '-e', 'trace=fsync,fdatasync', '-o', log];
    const traced = spawnSync('strace', [...options, ...self], { stdio: ['ignore', 'ignore', 'inherit'] });
    if (traced.error !== undefined) return { what, missing: 'strace is not installed (Debian: strace)' };
    if (traced.status !== 0) throw new Error(`the traced executions ended with ${traced.status}`);
    const fsyncs = readFileSync(log, 'utf8').match(/f(?:data)?sync\(/g)?.length ?? 0;
    const events = EXECUTIONS * (STATES + 1);
    return { what, value: events / fsyncs, unit: '', goal: atLeast(10) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function carryToTheirEnds(file: string): Promise<void> {
  const store = await openStore({ kind: 'sqlite', file }, { clock: systemClock });
  const executor = executorOn(store, slowly);
  await executor.start();
  await untilEnded(store);
  await executor.close();
  await store.close();
}

/** Ten thousand that wait for the same moment would be one herd: each has a moment of its own. */
function waits(): Promise<readonly Row[]> {
  return withStore(async (store) => {
    const executor = executorOn(store);
    await create(store, executor.machines, WAITING, {
      StartAt: 'Wait',
      States: { Wait: { Type: 'Wait', Seconds: 3_600, End: true } },
    });
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    await executor.start();
    while (executor.held < WAITING) await sleep(50);
    await sleep(500);
    globalThis.gc?.();
    const megabytes = (process.memoryUsage().rss - before) / 1024 / 1024;
    await executor.close();
    return [{ what: 'pipeline, 10,000 waiting executions', value: megabytes, unit: 'MB', goal: atMost(200) }];
  });
}

function lateness(): Promise<readonly Row[]> {
  return withStore(async (store) => {
    const executor = executorOn(store);
    await executor.start();
    await create(store, executor.machines, 20, {
      StartAt: 'Wait',
      States: { Wait: { Type: 'Wait', Seconds: WAIT_SECONDS, End: true } },
    });
    await untilEnded(store);
    const late: number[] = [];
    for (let n = 0; n < 20; n += 1) {
      const [first, last] = (await store.executions.events(`e${n}`)) as { atMs: number }[];
      late.push((last?.atMs ?? 0) - (first?.atMs ?? 0) - WAIT_SECONDS * 1_000);
    }
    await executor.close();
    return [
      { what: 'pipeline, a Wait wakes late by', value: Math.max(...late), unit: 'ms', goal: atMost(50) },
    ];
  });
}

const [mode, sampleFile = ''] = process.argv.slice(2);
if (mode === '--sample') {
  await carryToTheirEnds(sampleFile);
} else {
  const alone = [...(await transitions()), await transitionsAnFsync()];
  report([...alone, ...(await sharedTransitions()), ...(await lateness()), ...(await waits())]);
}
