/** Commands as a pipeline runs them: real shells, a real sandbox where there is one, real limits. */

import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DOCKER_SOCKET, dockerAnswers, NO_DOCKER, shellImage } from '../../../test/docker.ts';
import { GitRemote } from '../../../test/pipeline/git-remote.ts';
import { EngineClient } from '../../docker/engine-client.ts';
import { LocalArtifacts } from '../artifacts/local-artifacts.ts';
import type { Json, JsonObject } from '../asl/json.ts';
import { Checkout } from '../checkout/checkout.ts';
import { Git } from '../checkout/git.ts';
import { Mirrors } from '../checkout/mirrors.ts';
import { DiskTaskLogs } from '../logs/task-logs.ts';
import { type TaskCall, TaskCancelled } from '../task.ts';
import type { TaskParts } from '../task-parts.ts';
import { cmd } from '../tasks/cmd.ts';
import { CommandSandbox } from './command-sandbox.ts';
import type { CommandLimits } from './command-wish.ts';
import { Commands } from './commands.ts';
import { CommandGroups } from './limits.ts';
import { MarkedOutput } from './script.ts';
import { secretFolder } from './secret-folder.ts';
import { Services } from './services.ts';
import { Sources } from './source.ts';

const BWRAP = ['/usr/bin/bwrap', '/usr/local/bin/bwrap'].find((file) => existsSync(file));
/** Any folder that is there stands in for the home of the server's user. */
const HOME = '/etc/apt';
const never = new AbortController().signal;
const clock = { now: () => Date.now(), monotonic: () => performance.now(), sleep: () => Promise.resolve() };

let root = '';
let state = '';
let commands: Commands;
const engine = new EngineClient(DOCKER_SOCKET);

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'kiln-commands-'));
  state = path.join(root, 'state');
  await mkdir(path.join(state, 'secrets'), { recursive: true });
  await writeFile(path.join(state, 'secrets/deploy-key'), 'first-line-of-key\nsecond-line-of-key\n');
  await writeFile(path.join(state, 'secrets/token'), 'tok-123456\n');
  commands = open();
});
afterAll(async () => {
  engine.close();
  await rm(root, { recursive: true, force: true });
});

const searchPath = process.env.PATH ?? '/usr/bin:/bin';
const warnings: string[] = [];

/** Null: as on a machine without bubblewrap. */
function open(bwrap: string | null | undefined = BWRAP): Commands {
  const git = new Git({ searchPath, home: root, network: {} });
  return new Commands({
    stateDirectory: state,
    searchPath,
    dockerSocket: DOCKER_SOCKET,
    sandbox: new CommandSandbox({
      stateDirectory: state,
      searchPath,
      home: HOME,
      bwrap: bwrap ?? undefined,
      dockerSocket: DOCKER_SOCKET,
      warn: (why) => warnings.push(why),
    }),
    secrets: secretFolder(path.join(state, 'secrets')),
    logs: taskLogs(),
    sources: new Sources(new Checkout(new Mirrors(git, path.join(state, 'pipelines/mirrors')))),
    services: new Services(engine, state),
    artifacts: new LocalArtifacts(path.join(state, 'pipelines/artifacts'), randomUUID),
    clock,
    newId: () => randomUUID().slice(0, 8),
  });
}

let count = 0;
function call(given: Json, role: 'deployer' | 'viewer' = 'deployer'): TaskCall {
  count += 1;
  return {
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
      arguments: given,
      ends: 'answered',
      attempt: 0,
      timeoutAtMs: 0,
    },
    arguments: given,
    priority: 0,
    sinceMs: 0,
    again: false,
    begins: () => Promise.resolve(),
    beat: () => undefined,
  };
}

function run(given: JsonObject, role?: 'viewer', signal = never): Promise<Json> {
  // Nothing but running commands is asked of the parts.
  const parts = { runCommand: commands.run.bind(commands) } as unknown as TaskParts;
  return cmd.with(parts).run(call(given, role), signal);
}

const taskLogs = () => new DiskTaskLogs(path.join(state, 'logs'), clock, { warn: console.error });

/** Of the last call. */
async function log(): Promise<string> {
  const text: Uint8Array[] = [];
  for await (const bytes of taskLogs().text(`exec-${count}`, 'task-1', never)) text.push(bytes);
  return Buffer.concat(text).toString();
}

async function groups(): Promise<readonly string[] | undefined> {
  const [facts] = await taskLogs().list(`exec-${count}`);
  return facts?.groups.map(({ title }) => title);
}

describe('secrets', () => {
  it('are variables and files of the commands, and in no result, no log and no argument', async () => {
    const result = await run({
      commands: [
        'printf %s "$(echo $TOKEN | cut -c 1-7)"; sleep 0.1; echo 456',
        'echo $TOKEN; cat $KILN_SECRETS/key',
        'tr "\\0" " " < /proc/self/cmdline',
      ],
      secrets: { TOKEN: 'token' },
      secretFiles: { key: 'deploy-key' },
    });
    const said = JSON.stringify(result) + (await log());
    expect(said).toContain('***');
    expect(said).not.toMatch(/123456|line-of-key/);
    const kept = await readdir(path.join(state, 'pipelines/work'));
    expect(kept).toEqual([]);
  });

  it('are not given to whoever may change nothing, and a missing one is named', async () => {
    await expect(run({ commands: ['true'], secrets: { T: 'token' } }, 'viewer')).rejects.toMatchObject({
      code: 'auth.denied',
    });
    await expect(run({ commands: ['true'], secrets: { T: 'absent' } })).rejects.toThrow('no secret "absent"');
  });
});

describe.runIf(BWRAP)('the sandbox', () => {
  it('shows the machine read-only, without the home, the state and the engine of the server', async () => {
    const outside = path.join(root, 'outside');
    const tries = [
      `ls -A ${HOME} ${state}`,
      `echo x > ${outside} || echo refused`,
      'touch /usr/x 2>/dev/null || echo read-only',
      'echo kept > /tmp/own; cat /tmp/own',
      'test -S /run/docker.sock && echo engine; ps -e 2>/dev/null | grep -c vitest; echo "$DOCKER_HOST."',
    ];
    await run({ commands: [tries.map((line) => `(${line}) 2>&1 || true`).join('\n')] });
    const said = await log();
    expect(said).toMatch(/^read-only\nkept\n0\n\.$/m);
    expect(said).not.toMatch(/sources\.list|secrets|engine/);
    expect(existsSync(outside)).toBe(false);
    expect(existsSync('/tmp/own')).toBe(false);
  });

  it('is what strangers need: without one their commands are refused, and those of others told of it', async () => {
    const bare = open(null);
    const parts = { runCommand: bare.run.bind(bare) } as unknown as TaskParts;
    const given = { commands: ['echo "$TMPDIR"'] };
    await expect(cmd.with(parts).run(call(given, 'viewer'), never)).rejects.toMatchObject({
      code: 'auth.denied',
      next: expect.stringContaining('bubblewrap'),
    });
    await expect(run({ ...given, docker: true }, 'viewer')).rejects.toThrow('Docker engine');
    expect(await cmd.with(parts).run(call(given), never)).toMatchObject({
      output: expect.stringContaining('pipelines/work'),
    });
    expect(warnings).toEqual([expect.stringContaining('without a sandbox')]);
  });
});

describe('the script', () => {
  it('is one shell, with a group in the log for each command', async () => {
    await run({ commands: ['A=1; cd /tmp', 'echo "$A $PWD"'] });
    expect(await groups()).toEqual(['source', 'A=1; cd /tmp', 'echo "$A $PWD"']);
    expect(await log()).toBe('1 /tmp\n');
    await run({ commands: ['if true', 'then echo yes', 'fi'] });
    expect(await groups()).toEqual(['source', 'if true']);
    expect(await log()).toBe('yes\n');
  });

  it('finds its groups however the output is cut', () => {
    const text = Buffer.from('a\u001enonce 0\nb\u001ex\u001enonce 1\n');
    for (let cut = 0; cut <= text.length; cut += 1) {
      const marked = new MarkedOutput('nonce');
      const pieces = [text.subarray(0, cut), text.subarray(cut)].flatMap((part) => [...marked.take(part)]);
      const said = [...pieces, ...marked.end()]
        .map((piece) => ('bytes' in piece ? Buffer.from(piece.bytes).toString() : `<${piece.command}>`))
        .join('');
      expect(said).toBe('a<0>b\u001ex<1>');
    }
  });
});

describe('a repository', () => {
  it('is checked out as it is for pipelines: HEAD or a commit, with submodules for whoever is trusted', async () => {
    const inner = new GitRemote(root, 'inner');
    inner.commit('inner', { 'inner.txt': 'inside' });
    inner.push();
    const remote = new GitRemote(root, 'outer');
    remote.git('submodule', '--quiet', 'add', inner.url, 'lib');
    const first = remote.commit('first', { a: '1\n' });
    const second = remote.commit('second', { a: '2\n' });
    remote.push();
    const commands = ['git rev-parse HEAD; cat a; cat lib/inner.txt || true'];
    const newest = await run({ commands, source: remote.url });
    expect(newest).toMatchObject({ output: `${second}\n2\ninside` });
    expect(await groups()).toEqual(['source', `${remote.url} at ${second}`, ...commands]);
    const older = { commands, source: remote.url, commit: first.slice(0, 9), checkout: { depth: 1 } };
    expect(await run(older)).toMatchObject({ output: `${first}\n1\ninside` });
    const strange = await run({ commands, source: remote.url }, 'viewer');
    expect(strange).toMatchObject({ output: expect.not.stringContaining('inside') });
    const gone = { commands, source: remote.url, commit: 'f'.repeat(40) };
    await expect(run(gone)).rejects.toMatchObject({
      error: 'Cmd.Source',
      message: expect.stringContaining('no commit'),
    });
  });
});

describe('folders that are kept', () => {
  it('come back by key, are another one when their files change, and are not published by a stranger', async () => {
    const source = path.join(root, 'source');
    await mkdir(source);
    await writeFile(path.join(source, 'lock'), '1');
    const cached = {
      source,
      commands: ["test -e deps/made && echo f'o'und; mkdir -p deps; echo made > deps/made"],
      cache: { key: 'deps', files: ['lock'], paths: ['deps', '~/.tool'] },
    };
    const found = { output: expect.stringContaining('found') };
    await run(cached, 'viewer');
    for (const made of await Promise.all([run(cached), run(cached)])) expect(made).not.toMatchObject(found);
    const again = await Promise.all([run(cached), run(cached), run(cached, 'viewer')]);
    for (const one of again) expect(one).toMatchObject(found);
    await writeFile(path.join(source, 'lock'), '2');
    expect(await run(cached)).not.toMatchObject(found);
    expect(await readdir(path.join(state, 'pipelines/caches/drafts'))).toEqual([]);
  });

  it('are not given to a stranger once a command with secrets may have left one there', async () => {
    const last = { key: 'last', paths: ['deps'] };
    const look = { commands: ['cat deps/* || true'], cache: last };
    const fill = (more: object) =>
      run({ commands: ['mkdir -p deps; echo it is here > deps/made'], cache: last, ...more });
    const given = { output: expect.stringContaining('it is here') };
    await fill({});
    expect(await run(look, 'viewer')).toMatchObject(given);
    await fill({ secrets: { IT: 'token' } });
    expect(await run(look, 'viewer')).not.toMatchObject(given);
    // Who may have it finds it, and what that leaves is guarded as well.
    expect(await run(look)).toMatchObject(given);
    expect(await run(look, 'viewer')).not.toMatchObject(given);
  });

  it('are artifacts by digest: equal ones have one digest, and the next command finds them', async () => {
    const make = {
      commands: ['mkdir dist; echo built > dist/app; chmod 755 dist/app; umask'],
      artifacts: { dist: 'dist' },
    };
    const made = (await run(make)) as { artifacts: { dist: { digest: string } } };
    expect(await run(make)).toMatchObject({ artifacts: { dist: { digest: made.artifacts.dist.digest } } });
    const taken = { commands: ['cat from/dist/app'], inputs: { from: made.artifacts.dist.digest } };
    expect(await run(taken)).toMatchObject({ output: expect.stringContaining('built') });
    await expect(run({ ...taken, inputs: { from: `sha256:${'0'.repeat(64)}` } })).rejects.toThrow(
      'no artifact',
    );
    await expect(run({ commands: ['true'], artifacts: { dist: '../x' } })).rejects.toThrow('artifacts');
    await expect(run({ commands: ['true'], artifacts: { dist: 'dist' } })).rejects.toThrow('left no');
  });
});

describe('limits', () => {
  const greedy = `${process.execPath} -e "const a=[];setInterval(()=>a.push(Buffer.alloc(2e7,1)),20)"`;

  it('name a breach of memory, in groups of the kernel where they may be made and by watching elsewhere', async () => {
    const limits = { memoryMb: 200 };
    await expect(run({ commands: [greedy], limits })).rejects.toMatchObject({ error: 'Cmd.OutOfMemory' });
    const groups = new CommandGroups(state, '/nonexistent');
    expect((await groups.make('x', limits)).mode).toBe('watch');
  }, 60_000);

  /** The older hierarchies are there each by itself. */
  const mayHold = async (limits: CommandLimits, controller: string) => {
    const one = await new CommandGroups(state).make('probe', limits);
    await one.remove();
    return one.mode === 'cgroup-2' || one.enter([]).some((word) => word.includes(`/${controller}/`));
  };

  it('hold for processes: what starts more than it may is refused the next one', async (context) => {
    const limits = { processes: 16 };
    if (!(await mayHold(limits, 'pids'))) context.skip('no groups of processes may be made here');
    const many = { commands: ['for n in $(seq 40); do sleep 3 & done; wait'], limits };
    await expect(run(many)).rejects.toThrow(/[Cc]annot fork/);
    expect(await run({ ...many, limits: {} })).toMatchObject({ exitCode: 0 });
  }, 60_000);

  it('hold for processors: work under a tenth of one takes several times as long as it computes', async (context) => {
    const limits = { cpus: 0.1 };
    if (!(await mayHold(limits, 'cpu'))) context.skip('no groups of processes may be made here');
    const spin =
      'const{user,system}=process.cpuUsage();const t=Date.now();while(Date.now()-t<2000);const u=process.cpuUsage();console.log((u.user+u.system-user-system)/2e6)';
    const share = async (given: JsonObject) =>
      Number(z.object({ output: z.string() }).parse(await run(given)).output);
    const commands = [`${process.execPath} -e '${spin}'`];
    expect(await share({ commands, limits })).toBeLessThan(0.25);
  }, 60_000);

  it('end what takes too long, with all that it began', async () => {
    const late = { commands: ['sleep 600 & sleep 600'], timeoutSeconds: 1 };
    await expect(run(late)).rejects.toMatchObject({ error: 'States.Timeout' });
    expect(await readdir(path.join(state, 'pipelines/work'))).toEqual([]);
  });
});

if (!dockerAnswers) it.skip(`services: ${NO_DOCKER}`);
describe.runIf(dockerAnswers)('services', { timeout: 120_000 }, () => {
  const containersOf = async () => {
    const { z } = await import('zod');
    const shape = z.array(z.object({ Labels: z.record(z.string(), z.string()) }));
    const request = {
      method: 'GET',
      path: '/containers/json',
      query: { all: 'true' },
      signal: never,
    } as const;
    return (await engine.json(shape, request)).filter(({ Labels }) => 'kiln.command' in Labels).length;
  };

  it('are there by name once they are healthy, and gone afterwards, also after a crash', async () => {
    const image = await shellImage();
    const before = await containersOf();
    const command = ['/bin/sh', '-c', 'sleep 1; echo up > /tmp/ready; exec sleep 600'];
    const db = { image, command, environment: {}, health: 'cat /tmp/ready', timeoutSeconds: 60 };
    const asked = { commands: ['grep " db$" /etc/hosts; echo "at $KILN_SERVICE_DB"'], services: { db } };
    expect(await run(asked)).toMatchObject({ output: expect.stringMatching(/\d db\n.*at \d+\.\d+/s) });
    const sick = { ...asked, services: { db: { ...db, health: 'false', timeoutSeconds: 1 } } };
    await expect(run(sick)).rejects.toMatchObject({ error: 'Cmd.Service' });
    expect(await containersOf()).toBe(before);
    // Cancelled before they are healthy, and while the commands beside them run.
    for (const health of ['false', 'true']) {
      const cancelling = new AbortController();
      const endless = { commands: ['echo at $((40 + 2)); sleep 600'], services: { db: { ...db, health } } };
      const ended = expect(run(endless, undefined, cancelling.signal)).rejects.toThrow('cancelled');
      await expect.poll(containersOf, { timeout: 30_000 }).toBe(before + 1);
      if (health === 'true') await expect.poll(log, { timeout: 30_000 }).toContain('at 42');
      cancelling.abort(new TaskCancelled('cancelled'));
      await ended;
      expect(await containersOf()).toBe(before);
    }
    // As a server that dies leaves them.
    await new Services(engine, state).start('exec-x/task-1', { db }, never);
    expect(await containersOf()).toBe(before + 1);
    await open().sweep();
    expect(await containersOf()).toBe(before);
  });

  it('an engine is there for commands that ask for it', async () => {
    const ask = `curl --silent --unix-socket ${DOCKER_SOCKET} http://docker/_ping || true; echo " $DOCKER_HOST"`;
    expect(await run({ commands: [ask], docker: true })).toMatchObject({
      output: `OK unix://${DOCKER_SOCKET}\n`,
    });
    expect(await run({ commands: [ask] })).toMatchObject({ output: ' \n' });
  });
});
