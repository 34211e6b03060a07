/** What starts pipelines, over crashes: real repositories, a real store; time passes as the test says. */
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/domain/ports/clock.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import type { PipelineSource, PullRequestEvent, TriggerEvent } from '../../src/domain/trigger.ts';
import { Checkout } from '../../src/pipeline/checkout/checkout.ts';
import { Git } from '../../src/pipeline/checkout/git.ts';
import { Mirrors } from '../../src/pipeline/checkout/mirrors.ts';
import { Workspaces } from '../../src/pipeline/checkout/workspaces.ts';
import { Machines } from '../../src/pipeline/executor/machines.ts';
import { Pipelines } from '../../src/pipeline/pipelines.ts';
import type { TaskCall } from '../../src/pipeline/task.ts';
import type { TaskParts } from '../../src/pipeline/task-parts.ts';
import { makeTasks } from '../../src/pipeline/task-registry.ts';
import { TriggerInbox } from '../../src/pipeline/triggers/inbox.ts';
import { TriggerKeeper } from '../../src/pipeline/triggers/keeper.ts';
import { Poller } from '../../src/pipeline/triggers/poller.ts';
import { takeDue } from '../../src/pipeline/triggers/schedules.ts';
import { SourceFolders } from '../../src/pipeline/triggers/source-folder.ts';
import { Sources } from '../../src/pipeline/triggers/sources.ts';
import { StoreFollower } from '../../src/pipeline/triggers/store-follower.ts';
import { actOn } from '../../src/pipeline/triggers/triggered-start.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { open } from '../contracts/store-subjects.ts';
import { until } from '../e2e/kiln.ts';
import { GitRemote } from './git-remote.ts';

const { signal } = new AbortController();
const by = { actor: 'alice', atMs: 1 };
const OWNER = { actor: 'alice', role: 'admin', environments: [] } as const;
const GOLDEN = { component: 'node-runtime', channel: 'golden' };
const log = { info: () => undefined, warn: () => undefined };

let directory: string;
let store: Store;
let made = 0;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'kiln-triggers-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));
beforeEach(async () => {
  made += 1;
  store = await open({ kind: 'sqlite', file: path.join(directory, `store-${made}/kiln.db`) });
  return () => store.close();
});

function newId(): string {
  made += 1;
  return String(made);
}

/** All that a server has of triggers, but for the executor: executions are begun, and not carried on. */
function server() {
  const git = new Git({ searchPath: process.env.PATH ?? '', home: directory, network: {} });
  const mirrors = new Mirrors(git, path.join(directory, 'mirrors'));
  const workspaces = new Workspaces(new Checkout(mirrors), path.join(directory, 'checkouts'));
  const { executions, events, triggers } = store;
  const folders = new SourceFolders({ workspaces, executions, events, clock: systemClock, log });
  const machines = new Machines(executions);
  const describeFolder = async () => ({ component: 'shop', environments: [], base: GOLDEN });
  const pipelines = new Pipelines({
    store: executions,
    events,
    machines,
    clock: systemClock,
    newId,
    describe: describeFolder,
    commitOf: async () => ({}),
    restore: (input) => folders.restore(input, signal),
  });
  const inbox = new TriggerInbox(triggers, systemClock, newId);
  const poller = new Poller({ store: triggers, inbox, git, clock: systemClock, random: () => 0.5 });
  const starts = { store: triggers, mirrors, folders, pipelines, describe: describeFolder, now: Date.now };
  const keeper = new TriggerKeeper({
    store: triggers,
    leases: store.leases,
    events,
    inbox,
    poller,
    follower: new StoreFollower({ store: triggers, inbox, events, executions }),
    actOn: (taken, until) => actOn(starts, taken, until),
    clock: systemClock,
    log,
    holder: `test:${newId()}`,
    shares: true,
  });
  const describeSource = describeFolder;
  const sources = new Sources({
    store: triggers,
    inbox,
    mirrors,
    workspaces,
    describe: describeSource,
    clock: systemClock,
    newId,
  });
  return { git, mirrors, workspaces, pipelines, machines, inbox, keeper, sources, starts };
}

/** Of pipelines that nobody from outside may hold up. */
const LIVE = { Concurrency: { group: 'live', onOpen: 'newest' }, Priority: 9 };

/** A pipeline of one state, whose name tells whose it is. */
function definition(state: string, triggers: object, more: object = {}): string {
  return JSON.stringify({
    ...more,
    Triggers: triggers,
    StartAt: state,
    States: { [state]: { Type: 'Pass', End: true } },
  });
}

async function settled(count: number) {
  const page = async () => (await store.triggers.list({}, { limit: 100 })).items;
  await until(`${count} events are settled`, async () => {
    const items = await page();
    return items.length >= count && items.every(({ outcome }) => outcome !== undefined);
  });
  return page();
}

it('runs a fork’s change by the repository’s own pipeline, without rights, on a retry by an admin too', async () => {
  const remote = new GitRemote(directory, 'forked');
  remote.commit('first', {
    'microtica.yaml': `{"Pipeline": ${definition('Own', { pullRequest: { forks: true } }, LIVE)}}`,
    'a.txt': '1',
  });
  remote.push();
  const fork = remote.commit('a gift', { 'pipeline.yaml': definition('Foreign', {}), 'a.txt': '2' });
  remote.push('HEAD:refs/pull/7/head');
  const { sources, inbox, keeper, pipelines, machines, workspaces } = server();
  const source = await sources.watch({ at: remote.bare, parameters: {} }, OWNER, by, signal);
  const event: PullRequestEvent = {
    kind: 'pull-request',
    repository: { urls: [remote.url] },
    number: 7,
    commit: fork,
    base: 'main',
    ref: 'refs/pull/7/head',
    fromFork: true,
    trusted: false,
    sender: 'mallory',
  };
  // Taken while nobody acts on it, as before a crash.
  const [taken] = await inbox.startFor(event, by);
  expect(await inbox.startFor(event, by)).toEqual([{ source: source.id }]);
  const elsewhere = { ...event, number: 8, from: 'https://example.com/evil.git', commit: 'e'.repeat(40) };
  await inbox.startFor(elsewhere, by);
  keeper.start();
  const [second, first] = await settled(2);
  await keeper.close();
  expect(second?.outcome).toMatchObject({ kind: 'failed', code: 'checkout.failed' });
  expect(first?.outcome).toEqual({ kind: 'started', execution: taken?.execution });
  const id = taken?.execution ?? '';
  const record = await store.executions.get(id);
  expect(record).toMatchObject({
    pipeline: 'shop',
    createdBy: 'alice',
    rights: { role: 'viewer', environments: [] },
    group: `${source.id} pull request 7`,
    priority: 0,
    input: { commit: { sha: fork }, trigger: { kind: 'pull-request', by: 'mallory', trusted: false } },
  });
  expect((await machines.get(record?.definition ?? '')).StartAt).toBe('Own');
  expect(await workspaces.names()).toContain(id);
  await store.executions.renew('me', 60_000, 1);
  const [claim] = await store.executions.claim('me', 9, 1);
  await store.executions.append({
    id,
    fence: claim?.fence ?? 0,
    after: 0,
    events: [{}],
    status: 'ABORTED',
    atMs: 2,
  });
  await workspaces.remove(id);
  const again = await pipelines.again(id, 'start', { actor: 'root', rights: OWNER });
  expect(again.rights).toEqual({ role: 'viewer', environments: [] });
  expect(await workspaces.names()).toContain(id);
});

it('refuses every task of Kiln’s own to who may change nothing', async () => {
  // Nothing of it is reached: a task that looked at its parts would fail differently.
  const tasks = makeTasks({} as TaskParts);
  const call = { rights: { role: 'viewer', environments: [] }, arguments: {} } as unknown as TaskCall;
  const allowed: string[] = [];
  for (const [name, task] of tasks) {
    const error: unknown = await task.run(call, signal).catch((thrown: unknown) => thrown);
    const isRefused = error instanceof Error && 'code' in error && error.code === 'auth.denied';
    if (!isRefused) allowed.push(name);
  }
  // A task that is added later is refused until somebody has thought about it.
  expect(allowed).toEqual(['approve', 'cmd', 'http', 'notify']);
});

it('starts one execution for an event, wherever a crash cuts it', async () => {
  const remote = new GitRemote(directory, 'crashing');
  remote.commit('first', { 'pipeline.yaml': definition('Own', { push: {}, onOpen: 'newest' }) });
  remote.push();
  const { sources, starts } = server();
  const source = await sources.watch({ at: remote.url, parameters: {} }, OWNER, by, signal);
  const commit = remote.commit('second');
  remote.push();
  const zero = '0'.repeat(40);
  await sources.pushed(source.id, [{ before: zero, after: commit, ref: 'refs/heads/main' }], 'bob', 'hook');
  const [taken] = await store.triggers.waiting(9);
  if (taken === undefined) throw new Error('nothing was taken');
  // The first is cut while it checks out, the second after it has begun the execution; nobody settles either.
  const cut = AbortSignal.timeout(5);
  await expect(actOn(starts, taken, cut)).rejects.toThrow();
  const outcome = await actOn(starts, taken, signal);
  expect(await actOn(server().starts, taken, signal)).toEqual(outcome);
  const page = await store.executions.list({}, { limit: 9 });
  expect(page.items).toMatchObject([
    { input: { commit: { sha: commit, branch: 'main' }, trigger: { by: 'bob' } } },
  ]);
  // A newer push to the branch ends what is open of it, and of no other.
  await store.triggers.settle(taken.number, outcome, by);
  const third = remote.commit('third');
  remote.push();
  await sources.pushed(source.id, [{ before: commit, after: third, ref: 'refs/heads/main' }], 'bob', 'hook');
  const [newer] = await store.triggers.waiting(9);
  if (newer === undefined) throw new Error('nothing was taken');
  await actOn(starts, newer, signal);
  const superseded = { body: { error: 'Kiln.Superseded' } };
  expect(await store.executions.signals(page.items[0]?.id ?? '')).toMatchObject([superseded]);
  await sources.pushed(source.id, [{ before: third, after: zero, ref: 'refs/heads/main' }], 'bob', 'hook');
  expect(await store.triggers.heads(source.id)).toEqual([]);
});

function source(
  id: string,
  triggers: Partial<PipelineSource['triggers']>,
  more: Partial<PipelineSource> = {},
): PipelineSource {
  return {
    id,
    component: id,
    location: { kind: 'folder', path: '/nowhere' },
    directory: '',
    branch: '',
    triggers: { schedule: [], channel: [], base: false, pipeline: [], onOpen: 'queue', ...triggers },
    checkout: { submodules: true, lfs: true },
    parameters: {},
    owner: OWNER,
    createdAtMs: 0,
    ...more,
  };
}

async function takenEvents(): Promise<readonly TriggerEvent[]> {
  return (await store.triggers.waiting(1_000)).map(({ event }) => event);
}

describe('schedules', () => {
  it('are due once each; what was missed is run once, or not at all', async () => {
    const daily = { cron: '0 4 * * *', timeZone: 'Europe/London' };
    const createdAtMs = Date.parse('2026-06-01T00:00Z');
    const sources = [
      source('once', { schedule: [{ ...daily, missed: 'once' }] }, { createdAtMs }),
      source('skip', { schedule: [{ ...daily, missed: 'skip' }] }, { createdAtMs }),
    ];
    for (const one of sources) await store.triggers.register(one, [], by);
    const inbox = new TriggerInbox(store.triggers, systemClock, newId);
    const at = async (text: string) => {
      await takeDue(store.triggers, inbox, sources, Date.parse(text));
      const events = await takenEvents();
      return events.map((one) =>
        one.kind === 'schedule'
          ? `${one.source} ${new Date(one.dueAtMs).toISOString().slice(0, 16)}`
          : one.kind,
      );
    };
    expect(await at('2026-06-01T02:59:59Z')).toEqual([]);
    const first = ['once 2026-06-01T03:00', 'skip 2026-06-01T03:00'];
    expect(await at('2026-06-01T03:00:00Z')).toEqual(first);
    expect(await at('2026-06-01T03:00:01Z')).toEqual(first);
    expect(await at('2026-06-09T12:00:00Z')).toEqual([...first, 'once 2026-06-09T03:00']);
    // A cursor that a crash kept from being noted.
    await store.triggers.note('schedule/once/0 4 * * */Europe/London', createdAtMs);
    expect(await at('2026-06-09T12:00:01Z')).toHaveLength(3);
    expect(await at('2026-06-10T03:00:30Z')).toHaveLength(5);
  });
});

describe('what the store tells', () => {
  it('is taken once and none is left out, wherever a crash cuts it', async () => {
    const sources = [
      source('by-channel', { channel: [GOLDEN] }),
      source('by-base', { base: true }, { base: GOLDEN }),
      source('other', { channel: [{ ...GOLDEN, channel: 'proven' }] }),
      source('later', { channel: [GOLDEN] }, { createdAtMs: by.atMs + 1 }),
    ];
    for (const one of sources) await store.triggers.register(one, [], by);
    const { triggers, events, executions } = store;
    const follower = (lives: number) => {
      // Dies with a write that does not come to pass.
      const dying =
        <Args extends readonly unknown[], Result>(act: (...args: Args) => Promise<Result>) =>
        async (...args: Args) => {
          lives -= 1;
          if (lives < 0) throw new Error('killed');
          return act(...args);
        };
      const inbox = new TriggerInbox(
        { sources: () => triggers.sources(), take: dying((...args) => triggers.take(...args)) },
        systemClock,
        newId,
      );
      const cursors = {
        cursor: (name: string) => triggers.cursor(name),
        note: dying((name: string, at: number) => triggers.note(name, at)),
      };
      return new StoreFollower({ store: cursors, inbox, events, executions });
    };
    await follower(9).follow(sources);
    const moved: number[] = [];
    const property = fc.asyncProperty(
      fc.array(fc.constantFrom('move', 'noise')),
      fc.array(fc.nat(6)),
      async (acts, lives) => {
        for (const act of acts) {
          const revision = await events.append(
            act === 'move' ? 'channel.moved' : 'noise',
            'x',
            { ...GOLDEN, image: 'i' },
            by,
          );
          if (act === 'move') moved.push(revision);
        }
        for (const life of lives)
          await follower(life)
            .follow(sources)
            .catch(() => undefined);
        await follower(Number.POSITIVE_INFINITY).follow(sources);
        const found = (await store.triggers.list({}, { limit: 1_000 })).items.map(({ source: id, event }) => [
          id,
          'revision' in event ? event.revision : 0,
        ]);
        const revisionsOf = (id: string) =>
          found
            .filter(([one]) => one === id)
            .map(([, revision]) => revision)
            .reverse();
        expect(revisionsOf('by-channel')).toEqual(moved);
        expect(revisionsOf('by-base')).toEqual(moved);
        expect(revisionsOf('other')).toEqual([]);
        expect(revisionsOf('later')).toEqual([]);
      },
    );
    await fc.assert(property, { numRuns: 15 });
  });
});

describe('another pipeline’s end', () => {
  it('starts what waits for it, once, and not when a stranger’s change came to it', async () => {
    const waiting = source('shop', { pipeline: [{ pipeline: 'library', status: ['SUCCEEDED'] }] });
    await store.triggers.register(waiting, [], by);
    const { triggers, events, executions } = store;
    const inbox = new TriggerInbox(triggers, systemClock, newId);
    const follower = new StoreFollower({ store: triggers, inbox, events, executions });
    await follower.follow([waiting]);
    await executions.putDefinition('d', { StartAt: 'A' });
    const ends = async (id: string, trigger: object) => {
      const status = 'SUCCEEDED';
      const origin = { id, pipeline: 'library', definition: 'd', input: { trigger }, priority: 0 };
      await executions.create(origin, 'queue', by);
      await executions.renew('me', 60_000, 1);
      const [claim] = await executions.claim('me', 9, 1);
      await executions.append({ id, fence: claim?.fence ?? 0, after: 0, events: [{}], status, atMs: 2 });
    };
    await ends('ours', { kind: 'push' });
    await ends('forked', { kind: 'pull-request', fromFork: true, trusted: false });
    await follower.follow([waiting]);
    await follower.follow([waiting]);
    expect(await takenEvents()).toMatchObject([{ kind: 'pipeline-ended', execution: 'ours' }]);
  });
});

describe('looking at repositories', () => {
  it('is done by one of the servers of a store, and by the next once that one has gone', async () => {
    const remote = new GitRemote(directory, 'looked-at');
    remote.commit('first', { a: '1' });
    remote.push();
    const location = { kind: 'repository', url: remote.url } as const;
    const servers = [server(), server()].map(({ git, keeper }) => {
      const one = { keeper, looks: 0 };
      const run = git.run.bind(git);
      git.run = (...call) => {
        one.looks += 1;
        return run(...call);
      };
      return one;
    });
    await store.triggers.register(source('looked-at', {}, { location, pollEveryMs: 1 }), [], by);
    for (const { keeper } of servers) keeper.start();
    try {
      await until('one has looked twice', async () => servers.some(({ looks }) => looks > 1));
      const [idle, ...more] = servers.filter(({ looks }) => looks === 0);
      expect(more).toEqual([]);
      expect(idle).toBeDefined();
      for (const { keeper, looks } of servers) if (looks > 0) await keeper.close();
      await until('the other looks', async () => (idle?.looks ?? 0) > 0);
    } finally {
      for (const { keeper } of servers) await keeper.close();
    }
  });

  it('finds each ref that stands elsewhere once, and asks one that does not answer less and less often', async () => {
    const remote = new GitRemote(directory, 'polled');
    const first = remote.commit('first', { a: '1' });
    remote.push();
    let nowMs = 1_000_000;
    const clock: Clock = { ...systemClock, monotonic: () => nowMs, now: () => nowMs };
    const { git } = server();
    const inbox = new TriggerInbox(store.triggers, clock, newId);
    const poller = new Poller({ store: store.triggers, inbox, git, clock, random: () => 0.5 });
    const polled = source(
      'polled',
      {},
      { location: { kind: 'repository', url: remote.url }, pollEveryMs: 10_000 },
    );
    await store.triggers.register(polled, [{ ref: 'refs/heads/main', commit: first }], by);
    const look = async (afterMs: number) => {
      nowMs += afterMs;
      await poller.round([polled], signal);
      return (await takenEvents()).map((one) =>
        one.kind === 'push' ? `${one.ref} ${one.commit.slice(0, 7)}` : '',
      );
    };
    expect(await look(0)).toEqual([]);
    const second = remote.commit('second');
    remote.git('tag', '-a', 'v1', '-m', 'one');
    remote.git('branch', 'next');
    remote.push('main', 'next', 'v1');
    expect(await look(9_000)).toEqual([]);
    const tag = remote.git('rev-parse', 'v1').slice(0, 7);
    const seen = [
      `refs/heads/main ${second.slice(0, 7)}`,
      `refs/heads/next ${second.slice(0, 7)}`,
      `refs/tags/v1 ${tag}`,
    ];
    expect(await look(1_000)).toEqual(seen);
    expect(await look(10_000)).toEqual(seen);
    // A hook that tells of a push while the poller has looked just before it: one event, and none back to what it saw.
    const third = remote.commit('third');
    const late = new Git({ searchPath: process.env.PATH ?? '', home: directory, network: {} });
    const looked = late.run.bind(late);
    late.run = async (call, until) => {
      const text = await looked(call, until);
      const told = {
        kind: 'push',
        repository: { source: 'polled' },
        ref: 'refs/heads/main',
        commit: third,
      } as const;
      await inbox.startFor(told, by);
      return text;
    };
    const parts = { store: store.triggers, inbox, clock, random: () => 0.5 };
    await new Poller({ ...parts, git: late }).round([polled], signal);
    remote.push('main');
    const hooked = [...seen, `refs/heads/main ${third.slice(0, 7)}`];
    expect(await look(10_000)).toEqual(hooked);
    await rename(remote.bare, `${remote.bare}.away`);
    for (const [waitMs, failures] of [
      [10_000, 1],
      [20_000, 2],
      [39_000, 2],
      [1_000, 3],
    ] as const) {
      await look(waitMs);
      expect(poller.stateOf(remote.url)).toMatchObject({ failures });
    }
    await rename(`${remote.bare}.away`, remote.bare);
    // Gone and come back at the same commit: it is a push again.
    remote.push(':next');
    await look(600_000);
    remote.push('next');
    expect(await look(10_000)).toEqual([...hooked, `refs/heads/next ${second.slice(0, 7)}`]);
    expect(poller.stateOf(remote.url)).toMatchObject({ failures: 0 });
  });
});
