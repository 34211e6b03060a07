/** Workers as processes of their own: what they run, what becomes of it when they die or are not wanted any more. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DOCKER_SOCKET, dockerAnswers, shellImage } from '../docker.ts';
import { openGate } from '../gate.ts';
import { GitRemote } from '../pipeline/git-remote.ts';
import { ActivitiesService } from './activities-service.ts';
import { Kiln, ROOT, until } from './kiln.ts';
import { Line } from './line.ts';

interface Execution {
  readonly id: string;
  readonly status: string;
  readonly output?: { readonly exitCode: number; readonly output: string };
  readonly error?: string;
}

let kiln: Kiln;
/** What workers reach the server by; it stays when that is started again. */
let line: Line;
/** Of the role worker, and no more. */
let token: string;
const workers: ChildProcess[] = [];
beforeAll(async () => {
  kiln = await Kiln.create();
  await mkdir(path.join(kiln.state, 'secrets'), { recursive: true });
  await writeFile(path.join(kiln.state, 'secrets/deploy'), 'swordfish-9\n');
  await kiln.serve();
  line = await Line.open(async () => (await kiln.serverFile())?.url ?? '');
  ({ secret: token } = await kiln.json<{ secret: string }>('tokens', 'create', 'far', '--role', 'worker'));
});
afterAll(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  line.close();
  await kiln.destroy();
});

interface Started {
  readonly worker: ChildProcess;
  /** What it has said so far. */
  readonly said: () => string;
  readonly exited: Promise<unknown>;
}

function spawnWorker(
  name: string,
  options: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Started {
  const state = path.join(kiln.directory, 'elsewhere');
  const args = ['worker', ...options, '--name', name, '--state', state];
  const worker = spawn(path.join(ROOT, 'bin/kiln'), args, {
    env: {
      PATH: process.env.PATH,
      KILN_URL: line.url,
      KILN_TOKEN: token,
      KILN_DOCKER_SOCKET: DOCKER_SOCKET,
      ...environment,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  workers.push(worker);
  let said = '';
  worker.stderr?.on('data', (text) => {
    said += text;
  });
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  return { worker, said: () => said, exited };
}

type Rest = [options: readonly string[], environment?: Readonly<Record<string, string>>];

async function startWorker(name: string, ...rest: Rest): Promise<Started> {
  const started = spawnWorker(name, ...rest);
  await until('the worker is ready', async () => started.said().includes('ready'));
  return started;
}

async function killHard({ worker, exited }: Started): Promise<void> {
  worker.kill('SIGKILL');
  await exited;
}

function begin(
  name: string,
  commands: string[],
  more: object = {},
  next: object = { End: true },
): Promise<string> {
  const Parameters = { commands, 'source.$': '$.trigger.source.location', runsOn: ['linux', 'far'], ...more };
  const Run = { Type: 'Task', Resource: 'cmd', Parameters, ...next };
  return beginPipeline(name, { StartAt: 'Run', States: { Run } });
}

async function beginPipeline(name: string, definition: object, at = kiln): Promise<string> {
  const directory = path.join(at.directory, name);
  await mkdir(directory);
  await writeFile(
    path.join(directory, 'kiln.yaml'),
    `component: ${name}\nimage: {kind: bundle, run: sleep 1}\nservice: {port: 8080}\n`,
  );
  await writeFile(path.join(directory, 'pipeline.yaml'), JSON.stringify(definition));
  return (await at.json<Execution>('pipeline', 'run', directory, '--detach')).id;
}

async function ended(id: string, at = kiln): Promise<Execution> {
  let execution = await at.json<Execution>('pipeline', 'show', id);
  await until(`${id} has ended`, async () => {
    execution = await at.json<Execution>('pipeline', 'show', id);
    return !['PENDING', 'RUNNING'].includes(execution.status);
  });
  return execution;
}

let far: Started;

it('a worker with the labels runs a command with its source and secrets; one without them does not', async () => {
  const { worker: near, exited } = await startWorker('near', ['--labels', 'linux']);
  const id = await begin(
    'fits',
    ['cat kiln.yaml', 'echo "it is $WORD"; printf %s "$WORD" | wc -c | grep -qx 11'],
    {
      secrets: { WORD: 'deploy' },
    },
  );
  const why = await kiln.run('pipeline', 'why', id);
  expect(why.stdout).toContain('waits for a worker with the labels linux, far');
  near.kill('SIGTERM');
  expect(await exited).toBe(0);
  far = await startWorker('far', ['--labels', 'linux,far,big', '--slots', '4']);
  const { status, output } = await ended(id);
  expect([status, output?.output]).toEqual(['SUCCEEDED', expect.stringContaining('it is ***')]);
  const logs = await kiln.run('pipeline', 'logs', id);
  expect(logs.stdout).toContain('component: fits');
  expect(logs.stdout + JSON.stringify(await kiln.json('pipeline', 'show', id))).not.toContain('swordfish');
  // Neither the events nor what is kept of calls by their keys.
  const kept = ['kiln.db', 'kiln.db-wal'].map((name) => readFile(path.join(kiln.state, name), 'latin1'));
  expect((await Promise.all(kept)).join()).not.toContain('swordfish');
});

/** What commands may ask for, each on the server and on a worker. */
function table(remote: string, image: string | undefined): Record<string, object> {
  const source = { 'source.$': '$.trigger.source.location' };
  return {
    Source: { ...source, commands: ['cat kiln.yaml', 'echo end'] },
    Repository: { source: remote, commands: ['git rev-parse HEAD; cat a lib/inner.txt'] },
    Environment: {
      environment: { A: 'one' },
      files: { f: 'two' },
      commands: ['echo $A; cat $KILN_SECRETS/f'],
    },
    Secret: {
      secrets: { WORD: 'deploy' },
      secretFiles: { word: 'deploy' },
      commands: ['echo "$WORD"; cut -c 1-5 $KILN_SECRETS/word'],
    },
    NoSecret: { secrets: { WORD: 'absent' }, commands: ['true'] },
    NoSource: { source: `${remote}/nothing`, commands: ['true'] },
    Exit: { commands: ['echo before', 'exit 7'] },
    Time: { timeoutSeconds: 0.5, commands: ['echo begun; sleep 60'] },
    Memory: {
      limits: { memoryMb: 64 },
      commands: [
        `${process.execPath} -e "const a=[];setInterval(()=>a.push(Buffer.alloc(2e7,1)),20)" 2>&1 >/dev/null`,
      ],
    },
    Cache: { cache: { key: 'k', paths: ['kept'] }, commands: ['echo kept > kept'] },
    Artifact: { artifacts: { dist: 'dist' }, commands: ['mkdir dist; echo built > dist/app'] },
    NoArtifact: { artifacts: { dist: 'dist' }, commands: ['true'] },
    ...(image !== undefined && {
      Service: {
        services: { db: { image, command: ['sleep', '600'] } },
        commands: ['test -n "$KILN_SERVICE_DB" && echo up'],
      },
    }),
  };
}

it('what holds of commands on the server holds of those on a worker', async () => {
  const remote = new GitRemote(kiln.directory, 'outer');
  const inner = new GitRemote(kiln.directory, 'inner');
  inner.commit('inner', { 'inner.txt': 'inside\n' });
  inner.push();
  remote.git('submodule', '--quiet', 'add', inner.url, 'lib');
  remote.commit('outer', { a: '1\n' });
  remote.push();
  const cases = table(remote.url, dockerAnswers ? await shellImage() : undefined);
  const branch = (name: string, Parameters: object) => ({
    StartAt: name,
    States: {
      [name]: {
        Type: 'Task',
        Resource: 'cmd',
        Parameters,
        Catch: [{ ErrorEquals: ['States.ALL'], Next: `${name} failed` }],
        End: true,
      },
      [`${name} failed`]: { Type: 'Pass', End: true },
    },
  });
  const Branches = Object.entries(cases).flatMap(([name, asked]) => [
    branch(`${name} here`, asked),
    branch(`${name} there`, { ...asked, runsOn: 'far' }),
  ]);
  const Use = {
    Type: 'Task',
    Resource: 'cmd',
    Parameters: { runsOn: 'far', commands: ['cat in/dist/app'], inputs: { 'in.$': '$.dist' } },
    End: true,
  };
  const taken = Object.keys(cases).indexOf('Artifact') * 2;
  const All = {
    Type: 'Parallel',
    Branches,
    ResultSelector: { 'all.$': '$', 'dist.$': `$[${taken}].artifacts.dist.digest` },
    ResultPath: '$',
    Next: 'Use',
  };
  const Kept = { ...Use, ResultPath: '$.used' };
  const id = await beginPipeline('table', { StartAt: 'All', States: { All, Use: Kept } });
  const { status, output } = await ended(id);
  expect(status).toBe('SUCCEEDED');
  const { all, used } = output as unknown as { all: { Error?: string; Cause?: string }[]; used: object };
  expect(used).toMatchObject({ output: 'built\n' });
  const logs = await kiln.call('GET', `/api/v1/executions/${id}/logs`);
  const { items } = (await logs.json()) as { items: { state: string; groups: { title: string }[] }[] };
  // A folder of the server says on a worker how it came there, and a repository on its disk the same.
  const groupsOf = (wanted: string) =>
    items
      .find(({ state }) => state === wanted)
      ?.groups.map(({ title }) => title)
      .filter((title) => !/^(\/|file:)/.test(title));
  for (const [at, name] of Object.keys(cases).entries()) {
    const [here, there] = all.slice(at * 2);
    // How a process is killed is not said in the same words each time.
    if (name === 'Memory') expect([name, there?.Error]).toEqual([name, here?.Error]);
    else expect([name, there]).toEqual([name, here]);
    expect([name, groupsOf(`${name} there`)]).toEqual([name, groupsOf(`${name} here`)]);
  }
  const errors = all.flatMap(({ Error: error }, at) => (at % 2 === 1 && error ? [error] : []));
  expect(errors).toEqual([
    'not-found',
    'Cmd.Source',
    'Cmd.Failed',
    'States.Timeout',
    'Cmd.OutOfMemory',
    'Cmd.Artifact',
  ]);
}, 120_000);

it('a job goes on over a line that is cut for a moment', async () => {
  const gate = await openGate();
  try {
    const cut = await begin('cut', [gate.say('cut'), gate.wait, 'echo done']);
    await until('it runs', async () => gate.heard.includes('cut'));
    line.cut();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    line.mend();
    gate.open();
    expect(await ended(cut)).toMatchObject({ status: 'SUCCEEDED' });
  } finally {
    gate.close();
  }
}, 120_000);

it('Ctrl-C lets a job come to its end, and then the worker ends', async () => {
  const gate = await openGate();
  const last = await startWorker('last', ['--labels', 'last']);
  const id = await begin('finishes', [gate.say('runs'), gate.wait], { runsOn: 'last' });
  await until('it runs', async () => gate.heard.includes('runs'));
  const double = spawnWorker('last', []);
  expect(await double.exited).toBe(69);
  expect(double.said()).toContain('another --name');
  last.worker.kill('SIGINT');
  await until('it says so', async () => last.said().includes('waits for the end of finishes: Run'));
  gate.open();
  expect(await last.exited).toBe(0);
  expect(last.said()).toContain('nothing runs here any more');
  expect(await ended(id)).toMatchObject({ status: 'SUCCEEDED' });
  gate.close();
});

it('a command that nobody wants any more is ended on its worker', async () => {
  const gate = await openGate();
  try {
    const id = await begin('cancelled', [`while true; do ${gate.say('on')}; sleep 0.2; done`]);
    await until('it runs', async () => gate.heard.length > 0);
    await kiln.json('pipeline', 'cancel', id);
    await until('nothing is said any more', async () => {
      const before = gate.heard.length;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return before === gate.heard.length;
    });
  } finally {
    gate.close();
  }
});

it.concurrent('workers outlive their server: what one ran is ended there before another one has it', async () => {
  const [gate, own] = await Promise.all([openGate(), Kiln.create()]);
  await own.serve();
  const ownLine = await Line.open(async () => (await own.serverFile())?.url ?? '');
  try {
    const { secret } = await own.json<{ secret: string }>('tokens', 'create', 'far', '--role', 'worker');
    const environment = { KILN_URL: ownLine.url, KILN_TOKEN: secret };
    const stays = await startWorker('stays', ['--labels', 'far', '--slots', '1'], environment);
    const first = `while true; do ${gate.say('first')}; sleep 0.1; done`;
    const Run = {
      Type: 'Task',
      Resource: 'cmd',
      Parameters: {
        runsOn: 'far',
        commands: [`if ${gate.isOpen}; then ${gate.say('next')}; sleep 1; else ${first}; fi`],
      },
      Retry: [{ ErrorEquals: ['Kiln.OutcomeUnknown'], IntervalSeconds: 1, MaxAttempts: 1 }],
      End: true,
    };
    const id = await beginPipeline('outlive', { StartAt: 'Run', States: { Run } }, own);
    await until('it runs', async () => gate.heard.includes('first'));
    const beside = await startWorker('beside', ['--labels', 'far', '--slots', '1'], environment);
    gate.open();
    await own.kill();
    await own.serve();
    expect(await ended(id, own)).toMatchObject({ status: 'SUCCEEDED' });
    expect(gate.heard.indexOf('next')).toBeGreaterThan(gate.heard.lastIndexOf('first'));
    expect([stays.worker.exitCode, beside.worker.exitCode]).toEqual([null, null]);
    expect(stays.said()).toContain('is not wanted any more');
  } finally {
    gate.close();
    ownLine.close();
    await own.destroy();
  }
}, 120_000);

it.concurrent('a worker that is refused says why and ends, and one whose server is away asks again', async () => {
  const away = spawnWorker('away', ['--labels', 'none'], { KILN_URL: 'http://127.0.0.1:1' });
  const labels = spawnWorker('labels', ['--labels', 'BAD LABEL']);
  const wrong = spawnWorker('wrong', ['--labels', 'none'], { KILN_TOKEN: 'kiln_wrong' });
  expect(await Promise.all([labels.exited, wrong.exited])).toEqual([2, 5]);
  expect([labels.said(), wrong.said()]).toEqual([
    expect.stringContaining('a label'),
    expect.stringContaining('kiln tokens create'),
  ]);
  await until('it asks again', async () => away.said().includes('Trying again'));
  away.worker.kill('SIGKILL');
  const older = { worker: 'old', labels: ['linux'], waitSeconds: 0 };
  const refused = await kiln.call('POST', '/api/v1/workers/take', older);
  expect([refused.status, await refused.json()]).toMatchObject([
    409,
    { code: 'worker.protocol', detail: expect.stringContaining('older'), next: expect.any(String) },
  ]);
  const others = await fetch(`${line.url}/api/v1/executions`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(others.status).toBe(403);
});

it.concurrent('a worker that dies leaves an outcome that nobody knows, and the next one goes on', async () => {
  const gate = await openGate();
  const retry = { Retry: [{ ErrorEquals: ['Kiln.OutcomeUnknown'], IntervalSeconds: 1, MaxAttempts: 1 }] };
  const commands = [
    `${gate.isOpen} || { ${gate.say('begun')}; sleep 15; ${gate.say('left')}; }`,
    'echo done',
  ];
  const id = await begin('dies', commands, {}, { ...retry, End: true });
  await until('it runs', async () => gate.heard.includes('begun'));
  gate.open();
  await killHard(far);
  await startWorker('next', ['--labels', 'linux,far']);
  expect(await ended(id)).toMatchObject({ output: { exitCode: 0 }, status: 'SUCCEEDED' });
  const { history } = await kiln.json<{ history: { type: string; error?: string }[] }>(
    'pipeline',
    'show',
    id,
  );
  expect(history.filter(({ type }) => type === 'TaskFailed').map(({ error }) => error)).toEqual([
    'Kiln.OutcomeUnknown',
  ]);
  expect(gate.heard).toEqual(['begun']);
  gate.close();
}, 120_000);

it.concurrent('tasks are Activities of AWS Step Functions, for the definition that was exported', async () => {
  const service = new ActivitiesService();
  try {
    const directory = path.join(kiln.directory, 'exported');
    await mkdir(directory);
    const file = path.join(directory, 'pipeline.yaml');
    await writeFile(
      file,
      `Parameters: [{name: level, type: string, default: stage}]
StartAt: Both
States:
  Both:
    Type: Parallel
    Branches:
      - {StartAt: Build, States: {Build: {Type: Task, Resource: microtica.actions.docker.build, End: true}}}
    Next: Run
  Run: {Type: Task, Resource: cmd, TimeoutSeconds: 60, Parameters: {"commands.$": $.commands}, End: true}
`,
    );
    const flags = ['--region', 'eu-west-2', '--account', '123456789012'];
    const place = 'arn:aws:states:eu-west-2:123456789012:activity:kiln-';
    const exported = await kiln.run('pipeline', 'export', '--aws', '--definition', file, ...flags);
    const definition = JSON.parse(exported.stdout);
    expect(Object.keys(definition)).toEqual(['StartAt', 'States']);
    expect(definition.States.Both.Branches[0].States.Build.Resource).toBe(`${place}docker-build`);
    expect(definition.States.Run).toMatchObject({ Resource: `${place}cmd`, TimeoutSeconds: 60 });

    const { url } = (await kiln.serverFile()) ?? { url: '' };
    const environment = {
      KILN_URL: url,
      KILN_TOKEN: (await readFile(path.join(kiln.state, 'token'), 'utf8')).trim(),
      AWS_ENDPOINT_URL_SFN: await service.start(),
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: service.secret,
    };
    spawnWorker('cloud', ['--activities', 'cmd', '--heartbeat', '1', ...flags], environment);
    const { Resource: arn } = definition.States.Run;
    const slow = service.ask(arn, { commands: ['sleep 3', 'echo done'] });
    expect(await slow.ended).toMatchObject({
      output: { exitCode: 0, output: expect.stringContaining('done') },
    });
    expect(slow.task.beats).toBeGreaterThan(0);
    const broken = service.ask(arn, { commands: ['exit 7'] });
    expect(await broken.ended).toMatchObject({
      error: 'Cmd.Failed',
      cause: expect.stringContaining('exit code 7'),
    });
    const wrong = service.ask(arn, { comands: [] });
    expect(await wrong.ended).toMatchObject({ error: 'input.invalid' });
    const endless = service.ask(arn, { commands: ['sleep 600'] });
    await until('it runs', async () => endless.task.beats > 0);
    endless.task.timedOut = true;
    await until('it is cancelled', async () => {
      const page = await kiln.json<{ items: Execution[] }>('pipeline', 'list', 'task cmd');
      return page.items.some(({ status }) => status === 'ABORTED');
    });
    expect(new Set(service.refusals)).toEqual(new Set(['TaskTimedOut']));
  } finally {
    service.close();
  }
}, 120_000);
