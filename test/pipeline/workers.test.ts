/** A server's jobs and its workers, with real commands, over a line that can be cut. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EngineClient } from '../../src/docker/engine-client.ts';
import { KilnError } from '../../src/domain/errors.ts';
import { LocalArtifacts } from '../../src/pipeline/artifacts/local-artifacts.ts';
import type { JsonObject } from '../../src/pipeline/asl/json.ts';
import { Checkout } from '../../src/pipeline/checkout/checkout.ts';
import { Git } from '../../src/pipeline/checkout/git.ts';
import { Mirrors } from '../../src/pipeline/checkout/mirrors.ts';
import { CommandSandbox } from '../../src/pipeline/commands/command-sandbox.ts';
import type { CommandOutput } from '../../src/pipeline/commands/command-wish.ts';
import { Services } from '../../src/pipeline/commands/services.ts';
import { Sources } from '../../src/pipeline/commands/source.ts';
import type { TaskCall } from '../../src/pipeline/task.ts';
import type { TaskParts } from '../../src/pipeline/task-parts.ts';
import { cmd } from '../../src/pipeline/tasks/cmd.ts';
import type { WorkerHost } from '../../src/pipeline/workers/job-run.ts';
import type { Offer, WorkerServer } from '../../src/pipeline/workers/protocol.ts';
import { Worker } from '../../src/pipeline/workers/worker.ts';
import { WorkerJobs } from '../../src/pipeline/workers/worker-jobs.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { until } from '../e2e/kiln.ts';
import { type Gate, openGate } from '../gate.ts';
import { GitRemote } from './git-remote.ts';

const SILENT_MS = 3_000;
const searchPath = process.env.PATH ?? '/usr/bin:/bin';
const never = new AbortController().signal;
let root = '';
let gate: Gate;
const stops: (() => Promise<void>)[] = [];
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'kiln-workers-'));
  gate = await openGate();
});
afterAll(async () => {
  await Promise.all(stops.map((stop) => stop()));
  gate.close();
  await rm(root, { recursive: true, force: true });
});

/** What a machine has for its commands. */
function machine(name: string): WorkerHost {
  const stateDirectory = path.join(root, name);
  const dockerSocket = path.join(root, 'no-engine.sock');
  const git = new Git({ searchPath, home: root, network: {} });
  return {
    stateDirectory,
    searchPath,
    dockerSocket,
    sandbox: new CommandSandbox({
      stateDirectory,
      searchPath,
      home: stateDirectory,
      bwrap: ['/usr/bin/bwrap', '/usr/local/bin/bwrap'].find((file) => existsSync(file)),
      dockerSocket,
      warn: () => undefined,
    }),
    services: new Services(new EngineClient(dockerSocket), stateDirectory),
    sources: new Sources(new Checkout(new Mirrors(git, path.join(stateDirectory, 'mirrors')))),
    artifacts: new LocalArtifacts(path.join(stateDirectory, 'artifacts'), randomUUID),
    clock: systemClock,
    newId: randomUUID,
  };
}

function server(name: string): WorkerJobs {
  const { artifacts, sources, stateDirectory } = machine(name);
  const log = {
    write: async () => undefined,
    group: async () => undefined,
    tail: async () => '',
    close: async () => undefined,
  };
  return new WorkerJobs({
    logs: { open: async () => log },
    secrets: { read: async () => 'swordfish' },
    files: {
      artifacts,
      sources,
      clock: systemClock,
      searchPath,
      newId: randomUUID,
      folder: path.join(stateDirectory, 'travelling'),
    },
    newId: randomUUID,
    server: name,
    silentMs: SILENT_MS,
  });
}

/** The network between a worker and its server. */
class Line implements WorkerServer {
  jobs: WorkerJobs;
  isCut = false;
  /** Pieces that still come through before the next cut. */
  pieces = Number.POSITIVE_INFINITY;
  /** What is asked of the server, by the verb. */
  readonly asked: string[] = [];
  readonly offers: Offer[] = [];
  readonly #name: string;

  constructor(jobs: WorkerJobs, name: string) {
    this.jobs = jobs;
    this.#name = name;
  }

  async take(waitSeconds: number, signal: AbortSignal): Promise<Offer | undefined> {
    this.#pass('take');
    const given = await this.jobs.take(this.#name, ['far'], Math.min(waitSeconds * 1_000, 300), signal);
    this.#pass('take');
    if (given !== undefined) this.offers.push(given);
    // As it comes out of JSON.
    return given && JSON.parse(JSON.stringify(given));
  }
  async begin({ id, lease }: Offer): Promise<void> {
    this.#pass('begin');
    await this.jobs.begin(id, lease);
  }
  async release({ id, lease }: Offer): Promise<void> {
    this.#pass('release');
    this.jobs.release(id, lease);
  }
  async beat({ id, lease }: Offer): Promise<void> {
    this.#pass('beat');
    this.jobs.beat(id, lease);
  }
  async log({ id, lease }: Offer, piece: { group?: string; bytes?: Uint8Array }): Promise<void> {
    this.#pass('log');
    await this.jobs.log(id, lease, piece);
  }
  async end({ id, lease }: Offer, end: Parameters<WorkerServer['end']>[1]): Promise<void> {
    this.#pass('end');
    this.jobs.end(id, lease, end);
  }
  async source({ id, lease }: Offer) {
    this.#pass('source');
    return this.jobs.source(id, lease);
  }
  async *fetch({ id, lease }: Offer, digest: string, offset: number, signal: AbortSignal) {
    this.#pass('fetch');
    for await (const piece of await this.jobs.fetch(id, lease, { digest, offset }, signal)) {
      this.#piece();
      yield piece;
    }
  }
  async send({ id, lease }: Offer, piece: Parameters<WorkerServer['send']>[1]): Promise<void> {
    this.#pass('send');
    await this.jobs.send(id, lease, piece);
    this.#piece();
  }
  async keep({ id, lease }: Offer, artifact: Parameters<WorkerServer['keep']>[1]): Promise<void> {
    this.#pass('keep');
    await this.jobs.keep(id, lease, artifact);
  }

  #pass(verb: string): void {
    this.asked.push(verb);
    if (this.isCut) throw new KilnError('server.unreachable', 'The line is cut.', { retryable: true });
  }

  #piece(): void {
    this.pieces -= 1;
    if (this.pieces >= 0) return;
    this.pieces = Number.POSITIVE_INFINITY;
    throw new KilnError('server.unreachable', 'The line was cut.', { retryable: true });
  }
}

function worker(line: Line, name: string, slots = 1) {
  const said: string[] = [];
  const running = new Worker({ server: line, host: machine(name), slots, say: (text) => said.push(text) });
  const stop = new AbortController();
  const ended = running.work(stop.signal);
  const close = async () => {
    stop.abort();
    await ended;
  };
  stops.push(close);
  return { said, close, running };
}

let count = 0;
function run(
  jobs: WorkerJobs,
  given: JsonObject,
  {
    priority = 0,
    signal = never,
    role = 'deployer',
  }: { priority?: number; signal?: AbortSignal; role?: 'deployer' | 'viewer' } = {},
): Promise<CommandOutput> {
  count += 1;
  const whole = { runsOn: 'far', ...given };
  const call: TaskCall = {
    key: `exec-${count}/task-1`,
    execution: `exec-${count}`,
    pipeline: 'shop',
    actor: 'test',
    rights: { role, environments: [] },
    request: {
      type: 'runTask',
      task: 'task-1',
      state: 'Build',
      resource: 'cmd',
      arguments: whole,
      ends: 'answered',
      attempt: 0,
      timeoutAtMs: 0,
    },
    arguments: whole,
    priority,
    sinceMs: 0,
    again: false,
    begins: () => Promise.resolve(),
    beat: () => undefined,
  };
  // Nothing but running commands on workers is asked of the parts.
  const parts = { runOnWorker: jobs.run.bind(jobs) } as unknown as TaskParts;
  return cmd.with(parts).run(call, signal) as Promise<CommandOutput>;
}

/** Says all the time that it runs. */
function saying(name: string, then: string): string {
  return `(while true; do ${gate.say(name)}; sleep 0.05; done) & ${then}`;
}

const runs = (name: string) => until(`${name} runs`, async () => gate.heard.includes(name));

/** Never both at once. */
function expectOneAfterTheOther(one: string, other: string): void {
  expect(gate.heard.indexOf(other)).toBeGreaterThan(gate.heard.lastIndexOf(one));
}

it.concurrent('artifacts and sources travel by digest, over a line that is cut, and only those of the job', async () => {
  const jobs = server('carrying');
  const line = new Line(jobs, 'carrier');
  worker(line, 'carrier');
  const large = 10_000_000;
  const make = {
    commands: [`mkdir dist; head -c ${large} /dev/urandom > dist/app`],
    artifacts: { dist: 'dist' },
  };
  line.pieces = 1;
  const { artifacts: { dist } = {} } = await run(jobs, make);
  expect(dist?.sizeBytes).toBeGreaterThan(large);
  // Sent on from where it was cut.
  expect(line.asked.filter((verb) => verb === 'send')).toHaveLength(4);
  const digest = dist?.digest ?? '';
  const source = path.join(root, 'folder');
  await mkdir(source);
  await writeFile(path.join(source, 'run.sh'), 'wc -c < from/dist/app\n', { mode: 0o755 });
  const take = { source, commands: ['./run.sh'], inputs: { from: digest } };
  // Another machine, which has no copy of it yet.
  const other = new Line(jobs, 'other');
  line.isCut = true;
  worker(other, 'other');
  other.pieces = 3;
  expect(await run(jobs, take)).toMatchObject({ exitCode: 0, output: `${large}\n` });
  expect(other.asked.filter((verb) => verb === 'fetch')).toHaveLength(3);

  const remote = new GitRemote(root, 'of-server');
  const commit = remote.commit('first', { a: '1\n' });
  remote.push();
  const checkedOut = { source: remote.bare, commit, commands: ['cat a; git rev-parse HEAD'] };
  expect(await run(jobs, checkedOut)).toMatchObject({ output: `1\n${commit}\n` });

  const none = `sha256:${'0'.repeat(64)}`;
  await expect(run(jobs, { commands: ['true'], inputs: { from: none } })).rejects.toThrow('no artifact');
  expect(await readdir(path.join(root, 'carrying/travelling'))).toEqual([]);
});

it.concurrent('a worker gets no file of another job, and cannot claim what it has not sent', async () => {
  const jobs = server('theft');
  const kept = await machine('theft').artifacts.write(
    (fd) => writeFile(`/proc/self/fd/${fd}`, 'kept'),
    10,
    never,
  );
  const digest = kept?.digest ?? '';
  const running = run(jobs, { commands: ['true'], artifacts: { a: 'a' } });
  running.catch(() => undefined);
  const { id = '', lease = '' } = (await jobs.take('thief', ['far'], 1_000, never)) ?? {};
  await jobs.begin(id, lease);
  const fetch = (wanted: string, as = lease) => jobs.fetch(id, as, { digest: wanted, offset: 0 }, never);
  await expect(fetch(digest)).rejects.toMatchObject({ code: 'not-found' });
  expect(() => jobs.source(id, lease)).toThrow('no source');
  await expect(async () => fetch(digest, 'guessed')).rejects.toMatchObject({ code: 'input.conflict' });
  const claim = { output: { exitCode: 0, output: '', artifacts: { a: { digest, sizeBytes: 4 } } } };
  expect(() => jobs.end(id, lease, claim)).toThrow('was not sent');
  await expect(jobs.keep(id, lease, { digest, sizeBytes: 4 })).rejects.toMatchObject({ code: 'not-found' });
  const piece = (text: string, offset = 0, of = digest) => ({ digest: of, offset, bytes: Buffer.from(text) });
  await jobs.send(id, lease, piece('kepT'));
  await expect(jobs.keep(id, lease, { digest, sizeBytes: 4 })).rejects.toMatchObject({
    code: 'blob.damaged',
  });
  await expect(jobs.send(id, lease, piece('x', 3 * 1024 ** 3))).rejects.toMatchObject({
    code: 'input.too-large',
  });
  await expect(jobs.send(id, lease, piece('x', 0, `sha256:${'1'.repeat(64)}`))).rejects.toThrow(
    'fewer artifacts',
  );
  await jobs.send(id, lease, piece('kept, and what an attempt before has left'));
  await jobs.keep(id, lease, { digest, sizeBytes: 4 });
  jobs.end(id, lease, claim);
  expect(await running).toEqual(claim.output);
  await expect(async () => fetch(digest)).rejects.toMatchObject({ code: 'input.conflict' });
});

it.concurrent('the more urgent goes first, and a stranger’s commands get neither secrets nor leave a cache', async () => {
  const jobs = server('urgency');
  const urgent = [0, 5, 1].map((priority) =>
    run(jobs, { commands: [gate.say(`priority ${priority}`)] }, { priority }),
  );
  const { said } = worker(new Line(jobs, 'one'), 'one');
  await Promise.all(urgent);
  expect(gate.heard.filter((word) => word.startsWith('priority'))).toEqual(
    [5, 1, 0].map((priority) => `priority ${priority}`),
  );
  await expect(
    run(jobs, { commands: ['true'], secrets: { A: 'a' } }, { role: 'viewer' }),
  ).rejects.toMatchObject({ code: 'auth.denied' });
  const cache = { key: 'k', paths: ['kept'] };
  const look = { commands: ['cat kept 2>&1 || true; echo "$(hostname)" > kept'], cache };
  for (const role of ['viewer', 'deployer'] as const)
    expect(await run(jobs, look, { role })).toMatchObject({ output: expect.stringContaining('No such') });
  expect(await run(jobs, look)).not.toMatchObject({ output: expect.stringContaining('No such') });
  await expect(run(jobs, { commands: ['exit 3'] })).rejects.toMatchObject({
    error: 'Cmd.Failed',
    message: expect.stringContaining('exit code 3'),
  });
  await expect(run(jobs, { commands: ['sleep 60'], timeoutSeconds: 0.2 })).rejects.toMatchObject({
    error: 'States.Timeout',
  });
  expect(said.filter((text) => /failed|succeeded/.test(text)).at(-1)).toContain('failed: States.Timeout');
});

it.concurrent('over a short cut a job goes on; over a long one it is ended before another worker has it', async () => {
  const jobs = server('cutting');
  const [cut, sound] = [new Line(jobs, 'cut'), new Line(jobs, 'sound')];
  const first = worker(cut, 'cut');
  const short = run(jobs, { commands: [saying('short', 'sleep 2; echo done')] });
  await runs('short');
  cut.isCut = true;
  const isTried = cut.asked.length;
  await until('it was missed', async () => cut.asked.length > isTried + 1);
  cut.isCut = false;
  expect(await short).toMatchObject({ output: 'done\n' });

  const long = run(jobs, { commands: [saying('long', 'sleep 600')] });
  await runs('long');
  cut.isCut = true;
  await expect(long).rejects.toMatchObject({ error: 'Kiln.OutcomeUnknown' });
  worker(sound, 'sound');
  expect(await run(jobs, { commands: [saying('long again', 'sleep 0.2; echo done')] })).toMatchObject({
    output: 'done\n',
  });
  expectOneAfterTheOther('long', 'long again');
  expect(first.said.join('\n')).toContain('was ended: the server cannot be reached');
  // Its worker is not started again for the next one.
  sound.isCut = true;
  cut.isCut = false;
  expect(await run(jobs, { commands: ['echo again'] })).toMatchObject({ output: 'again\n' });
});

it.concurrent('a server that comes back without its jobs has them ended, and the worker takes those of the new one', async () => {
  const before = server('before');
  const line = new Line(before, 'stays');
  const { said, close, running } = worker(line, 'stays', 2);
  const stop = new AbortController();
  const lost = run(before, { commands: [saying('restart', 'sleep 600')] }, { signal: stop.signal });
  lost.catch(() => undefined);
  await runs('restart');
  line.jobs = server('after');
  await until('it is told', async () => said.some((text) => text.includes('is not wanted any more')));
  stop.abort();
  const next = run(line.jobs, { commands: [saying('restart again', 'sleep 1; echo done')] });
  await until('it is at work', async () => running.running.length === 1);
  // Asked to end, it finishes what it has begun, and begins nothing more.
  const closed = close();
  const after = run(line.jobs, { commands: ['true'] }, { signal: AbortSignal.timeout(2_000) });
  after.catch(() => undefined);
  expect(await next).toMatchObject({ output: 'done\n' });
  await closed;
  await expect(after).rejects.toThrow();
  expectOneAfterTheOther('restart', 'restart again');
});
