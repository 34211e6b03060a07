/** Servers of pipelines that are killed again and again: nothing is lost, and nothing is done twice. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../src/domain/ports/store.ts';
import { loadStateMachine } from '../../src/pipeline/asl/load.ts';
import { Machines } from '../../src/pipeline/machines.ts';
import type { StoreSettings } from '../../src/store/open.ts';
import { POSTGRES_MISSING, postgresBinaries } from '../contracts/postgres.ts';
import { open, postgresSubject, sqliteSubject } from '../contracts/store-subjects.ts';

const SERVER = fileURLToPath(new URL('./pipeline-server.ts', import.meta.url));
const EXECUTIONS = 100;
const STATES = 50;
const LIMIT_MS = 150_000;
/** So many lives of a second; on a machine that is too busy for that, later ones are longer. */
const SHORT_LIVES = 8;

/** Verbs and commands in turn, one state after the other; a command whose outcome was lost says so, and is left. */
function longMachine(): object {
  const states = Array.from({ length: STATES }, (_, n) => {
    const isCommand = n % 5 === 4;
    const next = n === STATES - 1 ? 'Done' : `S${n + 1}`;
    const lost = isCommand && { Catch: [{ ErrorEquals: ['Kiln.OutcomeUnknown'], Next: next }] };
    return [`S${n}`, { Type: 'Task', Resource: isCommand ? 'command' : 'verb', ...lost, Next: next }];
  });
  return { StartAt: 'S0', States: { ...Object.fromEntries(states), Done: { Type: 'Succeed' } } };
}

async function begin(store: Store, count: number): Promise<void> {
  const machines = new Machines(store.executions);
  const definition = await machines.put(await loadStateMachine(longMachine()));
  for (let n = 0; n < count; n += 1) {
    const origin = { id: `e${n}`, pipeline: 'p', definition, input: { n }, priority: 0 };
    await store.executions.create(origin, 'queue', { actor: 'test', atMs: Date.now() });
  }
}

async function startServer(settings: StoreSettings, ledger: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [SERVER, JSON.stringify(settings), ledger], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

async function openCount(store: Store): Promise<number> {
  return (await store.executions.list({ open: true }, { limit: 1_000 })).items.length;
}

interface Answered {
  readonly type: string;
  readonly task?: string;
  readonly error?: string;
}

/** What the executions' own events say became of each task, and what the ledger says. */
async function judge(store: Store, ledgerFile: string, count: number): Promise<{ lost: number }> {
  const ledger = new DatabaseSync(ledgerFile);
  const commands = ledger.prepare("select key from asked where kind = 'command'").all();
  const effects = ledger.prepare('select key, state, execution from effects').all();
  ledger.close();
  const ends = new Map<string, Answered[]>();
  for (let n = 0; n < count; n += 1) {
    const id = `e${n}`;
    expect((await store.executions.get(id))?.status).toBe('SUCCEEDED');
    for (const event of (await store.executions.events(id)) as Answered[]) {
      if (event.type !== 'taskSucceeded' && event.type !== 'taskFailed') continue;
      const key = `${id}/${event.task}`;
      ends.set(key, [...(ends.get(key) ?? []), event]);
    }
  }
  // No command ever ran twice under one key, and each that began has one end: its own, or that nobody knows it.
  expect(new Set(commands.map(({ key }) => key)).size).toBe(commands.length);
  for (const { key } of commands) expect(ends.get(String(key))).toHaveLength(1);
  const failures = [...ends.values()].flat().filter(({ type }) => type === 'taskFailed');
  expect(failures.every(({ error }) => error === 'Kiln.OutcomeUnknown')).toBe(true);
  // Each state's end is known once, and every effect of a verb happened once.
  const succeeded = [...ends.values()].flat().filter(({ type }) => type === 'taskSucceeded');
  expect(succeeded.length + failures.length).toBe(count * STATES);
  const isCommand = (state: unknown) => Number(String(state).slice(1)) % 5 === 4;
  const ofVerbs = effects.filter(({ state }) => !isCommand(state));
  expect(ofVerbs).toHaveLength(count * STATES * 0.8);
  expect(new Set(ofVerbs.map(({ state, execution }) => `${execution} ${state}`)).size).toBe(ofVerbs.length);
  return { lost: failures.length };
}

describe('executions whose servers are killed', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'kiln-pipeline-faults-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it(
    'goes on at the exact state: 100 of 50 states, killed every second',
    async () => {
      const subject = sqliteSubject();
      const settings = await subject.fresh();
      const store = await open(settings);
      const ledger = path.join(directory, 'ledger.db');
      let server: ChildProcess | undefined;
      try {
        await begin(store, EXECUTIONS);
        let kills = 0;
        for (const until = Date.now() + LIMIT_MS; (await openCount(store)) > 0; ) {
          expect(Date.now()).toBeLessThan(until);
          server = await startServer(settings, ledger);
          await sleep(1_000 * Math.max(1, kills - SHORT_LIVES));
          await kill(server);
          kills += 1;
        }
        expect(kills).toBeGreaterThan(3);
        const { lost } = await judge(store, ledger, EXECUTIONS);
        expect(lost).toBeGreaterThan(0);
      } finally {
        server?.kill('SIGKILL');
        await store.close();
        await subject.close();
      }
    },
    LIMIT_MS + 30_000,
  );

  const postgres = postgresBinaries() !== undefined || process.env.CI === 'true';
  (postgres ? it : it.skip)(
    `two servers on one Postgres: what a dead one held, the other goes on with${postgres ? '' : ` (${POSTGRES_MISSING})`}`,
    async () => {
      const subject = await postgresSubject();
      const settings = await subject.fresh();
      const store = await open(settings);
      const ledger = path.join(directory, 'ledger-2.db');
      const servers: ChildProcess[] = [];
      try {
        servers.push(await startServer(settings, ledger), await startServer(settings, ledger));
        await begin(store, 20);
        const holders = async () =>
          new Set(
            (await store.executions.list({ open: true }, { limit: 100 })).items.map(({ holder }) => holder),
          );
        await expect.poll(holders, { timeout: 20_000 }).toHaveProperty('size', 2);
        const [first, second] = servers;
        if (first === undefined || second === undefined) throw new Error('two servers were started');
        await kill(first);
        await expect.poll(() => openCount(store), { timeout: LIMIT_MS, interval: 200 }).toBe(0);
        await judge(store, ledger, 20);
      } finally {
        for (const server of servers) server.kill('SIGKILL');
        await store.close();
        await subject.close();
      }
    },
    LIMIT_MS + 30_000,
  );
});
