/** Workers as processes of their own: what they run, what becomes of it when they die or are not wanted any more. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openGate } from '../gate.ts';
import { ActivitiesService } from './activities-service.ts';
import { Kiln, ROOT, until } from './kiln.ts';

interface Execution {
  readonly id: string;
  readonly status: string;
  readonly output?: { readonly exitCode: number; readonly output: string };
  readonly error?: string;
}

let kiln: Kiln;
const workers: ChildProcess[] = [];
beforeAll(async () => {
  kiln = await Kiln.create();
  await mkdir(path.join(kiln.state, 'secrets'), { recursive: true });
  await writeFile(path.join(kiln.state, 'secrets/deploy'), 'swordfish-9\n');
  await kiln.serve();
});
afterAll(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  await kiln.destroy();
});

async function startWorker(
  name: string,
  options: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<ChildProcess> {
  const { url } = (await kiln.serverFile()) ?? { url: '' };
  const token = (await readFile(path.join(kiln.state, 'token'), 'utf8')).trim();
  const state = path.join(kiln.directory, 'elsewhere');
  const args = ['worker', ...options, '--name', name, '--slots', '1', '--state', state];
  const worker = spawn(path.join(ROOT, 'bin/kiln'), args, {
    env: { PATH: process.env.PATH, KILN_URL: url, KILN_TOKEN: token, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  workers.push(worker);
  let said = '';
  worker.stderr?.on('data', (text) => {
    said += text;
  });
  await until('the worker asks for work', async () => said.includes(name));
  return worker;
}

async function killHard(worker: ChildProcess): Promise<void> {
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  worker.kill('SIGKILL');
  await exited;
}

async function begin(
  name: string,
  commands: string[],
  more: object = {},
  next: object = { End: true },
): Promise<string> {
  const directory = path.join(kiln.directory, name);
  await mkdir(directory);
  await writeFile(
    path.join(directory, 'kiln.yaml'),
    `component: ${name}\nimage: {kind: bundle, run: sleep 1}\nservice: {port: 8080}\n`,
  );
  const Parameters = { commands, 'source.$': '$.trigger.source.location', runsOn: ['linux', 'far'], ...more };
  const Run = { Type: 'Task', Resource: 'cmd', Parameters, ...next };
  await writeFile(path.join(directory, 'pipeline.yaml'), JSON.stringify({ StartAt: 'Run', States: { Run } }));
  return (await kiln.json<Execution>('pipeline', 'run', directory, '--detach')).id;
}

async function ended(id: string): Promise<Execution> {
  let execution = await kiln.json<Execution>('pipeline', 'show', id);
  await until(`${id} has ended`, async () => {
    execution = await kiln.json<Execution>('pipeline', 'show', id);
    return !['PENDING', 'RUNNING'].includes(execution.status);
  });
  return execution;
}

it('a worker with the labels runs a command with its source and secrets; one without them does not', async () => {
  await startWorker('near', ['--labels', 'linux']);
  const id = await begin(
    'fits',
    ['cat kiln.yaml', 'echo "it is $WORD"; printf %s "$WORD" | wc -c | grep -qx 11'],
    {
      secrets: { WORD: 'deploy' },
    },
  );
  const why = await kiln.run('pipeline', 'why', id);
  expect(why.stdout).toContain('waits for a worker with the labels linux, far');
  await startWorker('far', ['--labels', 'linux,far,big']);
  const { status, output } = await ended(id);
  expect([status, output?.output]).toEqual(['SUCCEEDED', expect.stringContaining('it is ***')]);
  const logs = await kiln.run('pipeline', 'logs', id);
  expect(logs.stdout).toContain('component: fits');
  expect(logs.stdout + JSON.stringify(await kiln.json('pipeline', 'show', id))).not.toContain('swordfish');
  // Neither the events nor what is kept of calls by their keys.
  const kept = ['kiln.db', 'kiln.db-wal'].map((name) => readFile(path.join(kiln.state, name), 'latin1'));
  expect((await Promise.all(kept)).join()).not.toContain('swordfish');
});

it('a worker whose labels are refused says so and ends', async () => {
  const refused = await kiln.run('worker', '--labels', 'BAD LABEL');
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('a label') });
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

it.concurrent('a worker that dies leaves an outcome that nobody knows, and the next one goes on', async () => {
  const gate = await openGate();
  const far = workers.at(-1);
  const retry = { Retry: [{ ErrorEquals: ['Kiln.OutcomeUnknown'], IntervalSeconds: 1, MaxAttempts: 1 }] };
  const commands = [
    `${gate.isOpen} || { ${gate.say('begun')}; sleep 15; ${gate.say('left')}; }`,
    'echo done',
  ];
  const id = await begin('dies', commands, {}, { ...retry, End: true });
  await until('it runs', async () => gate.heard.includes('begun'));
  gate.open();
  if (far !== undefined) await killHard(far);
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

    const environment = {
      AWS_ENDPOINT_URL_SFN: await service.start(),
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: service.secret,
    };
    await startWorker('cloud', ['--activities', 'cmd', '--heartbeat', '1', ...flags], environment);
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
