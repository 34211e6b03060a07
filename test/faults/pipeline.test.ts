/** Servers of pipelines that are killed again and again: nothing is lost, and nothing is done twice. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { promote } from '../../src/catalog/promote.ts';
import { type ComponentName, channelName, componentName } from '../../src/domain/ids.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { loadStateMachine } from '../../src/pipeline/asl/load.ts';
import { Machines } from '../../src/pipeline/executor/machines.ts';
import { POSTGRES_MISSING, postgresBinaries } from '../contracts/postgres.ts';
import { by, check, image } from '../contracts/store-samples.ts';
import { open, postgresSubject, sqliteSubject } from '../contracts/store-subjects.ts';
import { type Gate, openGate } from '../gate.ts';
import type { PipelineServer } from './pipeline-server.ts';

const SERVER = fileURLToPath(new URL('./pipeline-server.ts', import.meta.url));
const EXECUTIONS = 100;
const STATES = 50;
const LIMIT_MS = 150_000;
/** So many lives of a second; on a machine that is too busy for that, later ones are longer. */
const SHORT_LIVES = 8;

/** Executions of a channel's component, which move it to and fro. */
const SHARING = 10;
const PROVEN = channelName('proven');
const SEED = 'held before';

type Kind = 'verb' | 'command' | 'promote' | 'cmd';

/** Kiln's own in between: a promotion every twelve states, two commands in a shell. */
function kindOf(n: number): Kind {
  if (n % 12 === 5) return 'promote';
  if (n === 14 || n === 34) return 'cmd';
  return n % 5 === 4 ? 'command' : 'verb';
}

/** Verbs and commands in turn, one state after the other; a command whose outcome was lost says so, and is left. */
function longMachine(say: Gate['say']): object {
  const states = Array.from({ length: STATES }, (_, n) => {
    const Next = n === STATES - 1 ? 'Done' : `S${n + 1}`;
    const Catch = [{ ErrorEquals: ['Kiln.OutcomeUnknown'], ResultPath: null, Next }];
    const common = { Type: 'Task', Resource: kindOf(n), ResultPath: null, Next };
    return [`S${n}`, { ...common, ...own(n, Catch, say) }];
  });
  return { StartAt: 'S0', States: { ...Object.fromEntries(states), Done: { Type: 'Succeed' } } };
}

function own(n: number, Catch: readonly object[], say: Gate['say']): object {
  switch (kindOf(n)) {
    case 'verb':
      return {};
    case 'command':
      return { Catch };
    case 'cmd':
      // The name of every process of a command ends in its key.
      return {
        Catch,
        Parameters: { commands: [say('begun $KILN_COMMAND'), 'sleep 0.05', say('done $KILN_COMMAND')] },
      };
    case 'promote':
      return {
        Parameters: { 'image.$': `$.images[${n % 24 === 5 ? 0 : 1}]`, channel: PROVEN },
        // Another execution moved the channel meanwhile.
        Retry: [{ ErrorEquals: ['input.conflict'], IntervalSeconds: 1, MaxAttempts: 99, BackoffRate: 1 }],
      };
  }
}

const componentOf = (n: number) => componentName(`c${n % SHARING}`);

/** Two images that are proven, and were: so each may be moved to from the other. */
async function proven(store: Store, component: ComponentName): Promise<void> {
  for (const n of [1, 2]) {
    const { id } = await store.images.create(image(n, component), by);
    await store.images.recordCheck(id, check(true), by);
    const made = await store.images.get(id);
    if (made === undefined) throw new Error(`${id} was made`);
    await promote(store, { component, image: made, channel: PROVEN, why: SEED }, by);
  }
}

async function begin(store: Store, count: number, say: Gate['say']): Promise<void> {
  for (let n = 0; n < Math.min(count, SHARING); n += 1) await proven(store, componentOf(n));
  const machines = new Machines(store.executions);
  const definition = await machines.put(await loadStateMachine(longMachine(say)));
  for (let n = 0; n < count; n += 1) {
    const input = { n, images: [1, 2].map((of) => image(of, componentOf(n)).id) };
    const origin = { id: `e${n}`, pipeline: 'p', definition, input, priority: 0 };
    await store.executions.create(origin, 'queue', { actor: 'test', atMs: Date.now() });
  }
}

async function startServer(server: PipelineServer): Promise<ChildProcess> {
  const child = spawn(process.execPath, [SERVER, JSON.stringify(server)], {
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
  readonly output?: { readonly moved?: boolean };
}

/** How each task ended, by its key. */
async function endsOf(store: Store, count: number): Promise<Map<string, Answered>> {
  const ends = new Map<string, Answered>();
  for (let n = 0; n < count; n += 1) {
    const id = `e${n}`;
    expect((await store.executions.get(id))?.status).toBe('SUCCEEDED');
    for (const event of (await store.executions.events(id)) as Answered[]) {
      if (event.type !== 'taskSucceeded' && event.type !== 'taskFailed') continue;
      const key = `${id}/${event.task}`;
      expect(ends.get(key), `a second end of ${key}`).toBeUndefined();
      ends.set(key, event);
    }
  }
  return ends;
}

interface Asked {
  readonly key: string;
  readonly state: string;
  readonly execution: string;
  readonly kind: Kind;
}

/** What the executions' own events say became of each task, against the ledger, what the shells have said and the channels. */
async function judge(
  store: Store,
  { ledger: ledgerFile, heard }: { readonly ledger: string; readonly heard: readonly string[] },
  count: number,
): Promise<{ lost: number; promotedAgain: number }> {
  const ledger = new DatabaseSync(ledgerFile);
  const asked = ledger.prepare('select * from asked').all() as unknown as Asked[];
  const effects = ledger.prepare('select * from effects').all() as unknown as Asked[];
  ledger.close();
  const kinds = new Map(asked.map(({ key, kind }) => [key, kind]));
  const ends = await endsOf(store, count);
  const perExecution = (kind: Kind) =>
    Array.from({ length: STATES }, (_, n) => kindOf(n)).filter((one) => one === kind).length;
  // Each state's end is known once; what failed is a lost command, or a promotion that came too late and is tried again.
  const all = [...ends].map(([key, end]) => ({ key, kind: kinds.get(key), ...end }));
  const failed = all.filter(({ type }) => type === 'taskFailed');
  const lost = failed.filter(({ error }) => error === 'Kiln.OutcomeUnknown');
  const conflicts = failed.filter(({ error, kind }) => error === 'input.conflict' && kind === 'promote');
  expect(lost.length + conflicts.length).toBe(failed.length);
  expect(lost.filter(({ kind }) => kind === 'verb' || kind === 'promote')).toEqual([]);
  expect(all.length - conflicts.length).toBe(count * STATES);
  // No command ever ran twice under one key, and each that began has one end: its own, or that nobody knows it.
  const commands = asked.filter(({ kind }) => kind === 'command');
  expect(new Set(commands.map(({ key }) => key)).size).toBe(commands.length);
  expect(commands.filter(({ key }) => !ends.has(key))).toEqual([]);
  judgeShells(
    heard.join('\n'),
    ends,
    all.filter(({ kind }) => kind === 'cmd'),
  );
  // Every effect of a verb happened once.
  const ofVerbs = effects.filter(({ state }) => kindOf(Number(state.slice(1))) === 'verb');
  expect(ofVerbs).toHaveLength(count * perExecution('verb'));
  expect(new Set(ofVerbs.map(({ state, execution }) => `${execution} ${state}`)).size).toBe(ofVerbs.length);
  await judgeMoves(
    store,
    all.filter(({ output }) => output?.moved === true),
    count,
  );
  const promotions = asked.filter(({ kind }) => kind === 'promote');
  const promotedAgain = promotions.length - new Set(promotions.map(({ key }) => key)).size;
  return { lost: lost.filter(({ kind }) => kind === 'cmd').length, promotedAgain };
}

/** Each shell began at most once; one that is said to have succeeded came to its end. */
function judgeShells(
  text: string,
  ends: ReadonlyMap<string, Answered>,
  commands: readonly (Answered & { readonly key: string })[],
): void {
  const keys = (what: string) =>
    [...text.matchAll(new RegExp(`^${what} .*:(e\\d+/.+):$`, 'gm'))].map(([, key]) => key ?? '');
  const [begun, done] = [keys('begun'), keys('done')];
  expect(begun.length).toBeGreaterThan(0);
  expect(new Set(begun).size).toBe(begun.length);
  expect(begun.filter((key) => !ends.has(key))).toEqual([]);
  const succeeded = commands.filter(({ type }) => type === 'taskSucceeded').map(({ key }) => key);
  expect(done).toEqual(expect.arrayContaining(succeeded));
  const unsaid = begun.filter((key) => !succeeded.includes(key));
  expect(unsaid.filter((key) => ends.get(key)?.error !== 'Kiln.OutcomeUnknown')).toEqual([]);
}

/** Channels moved once for each promotion that says it moved one, and at no other time; the audit log says the same. */
async function judgeMoves(
  store: Store,
  promotions: readonly { readonly key: string }[],
  count: number,
): Promise<void> {
  const moves = [];
  for (let n = 0; n < Math.min(count, SHARING); n += 1)
    moves.push(...(await store.channels.history(componentOf(n), PROVEN)));
  const why = moves.map((move) => move.why).filter((one) => one !== SEED);
  expect(why.toSorted()).toEqual(promotions.map(({ key }) => `pipeline execution ${key}`).toSorted());
  let audited = 0;
  for (let cursor: string | undefined; ; ) {
    const page = await store.audit.list({ limit: 500, ...(cursor !== undefined && { cursor }) });
    audited += page.items.filter(({ action }) => action === 'channel.move').length;
    cursor = page.cursor;
    if (cursor === undefined) break;
  }
  expect(audited).toBe(moves.length);
}

describe('executions whose servers are killed', () => {
  let directory: string;
  let shells: Gate;
  beforeEach(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'kiln-pipeline-faults-'));
    shells = await openGate();
  });
  afterEach(() => {
    shells.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const filesIn = (name: string) => ({
    ledger: path.join(directory, `${name}.db`),
    state: path.join(directory, name),
  });

  it(
    'goes on at the exact state: 100 of 50 states, killed every second',
    async () => {
      const subject = sqliteSubject();
      const settings = await subject.fresh();
      const store = await open(settings);
      const files = filesIn('one');
      let server: ChildProcess | undefined;
      try {
        await begin(store, EXECUTIONS, shells.say);
        let kills = 0;
        for (const until = Date.now() + LIMIT_MS; (await openCount(store)) > 0; ) {
          expect(Date.now()).toBeLessThan(until);
          server = await startServer({ settings, paceMs: 170, ...files });
          await sleep(1_000 * Math.max(1, kills - SHORT_LIVES));
          await kill(server);
          kills += 1;
        }
        expect(kills).toBeGreaterThanOrEqual(8);
        const { lost, promotedAgain } = await judge(store, { ...files, heard: shells.heard }, EXECUTIONS);
        expect(lost).toBeGreaterThan(0);
        expect(promotedAgain).toBeGreaterThan(0);
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
      const files = filesIn('two');
      const startOne = (name: string) =>
        startServer({ settings, paceMs: 70, ...files, state: path.join(files.state, name) });
      const servers: ChildProcess[] = [];
      try {
        servers.push(await startOne('first'), await startOne('second'));
        await begin(store, 20, shells.say);
        const holders = async () =>
          new Set(
            (await store.executions.list({ open: true }, { limit: 100 })).items.map(({ holder }) => holder),
          );
        await expect.poll(holders, { timeout: 20_000 }).toHaveProperty('size', 2);
        const [first, second] = servers;
        if (first === undefined || second === undefined) throw new Error('two servers were started');
        await kill(first);
        await expect.poll(() => openCount(store), { timeout: LIMIT_MS, interval: 200 }).toBe(0);
        await judge(store, { ...files, heard: shells.heard }, 20);
      } finally {
        for (const server of servers) server.kill('SIGKILL');
        await store.close();
        await subject.close();
      }
    },
    LIMIT_MS + 30_000,
  );
});
