/** Workers as processes of their own: what they run, what becomes of it when they die or are not wanted any more. */
import { type ChildProcess, spawn } from 'node:child_process';
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
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

async function startWorker(name: string, labels: string): Promise<ChildProcess> {
  const { url } = (await kiln.serverFile()) ?? { url: '' };
  const token = (await readFile(path.join(kiln.state, 'token'), 'utf8')).trim();
  const state = path.join(kiln.directory, 'elsewhere');
  const worker = spawn(
    path.join(ROOT, 'bin/kiln'),
    ['worker', '--labels', labels, '--name', name, '--slots', '1', '--state', state],
    {
      env: { PATH: process.env.PATH, KILN_URL: url, KILN_TOKEN: token },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  workers.push(worker);
  let said = '';
  worker.stderr?.on('data', (text) => {
    said += text;
  });
  await until('the worker asks for work', async () => said.includes(name));
  return worker;
}

/** A launcher may start another process: the one that works is the last of them. */
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

const isThere = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );

it('a worker with the labels runs a command with its source and secrets; one without them does not', async () => {
  await startWorker('near', 'linux');
  const id = await begin('fits', ['cat kiln.yaml', 'echo "it is $WORD"; printf %s "$WORD" | wc -c | grep -qx 11'], {
    secrets: { WORD: 'deploy' },
  });
  const why = await kiln.run('pipeline', 'why', id);
  expect(why.stdout).toContain('waits for a worker with the labels linux, far');
  await startWorker('far', 'linux,far,big');
  const { status, output } = await ended(id);
  expect([status, output?.output]).toEqual(['SUCCEEDED', expect.stringContaining('it is ***')]);
  const logs = await kiln.run('pipeline', 'logs', id);
  expect(logs.stdout).toContain('component: fits');
  expect(logs.stdout + JSON.stringify(await kiln.json('pipeline', 'show', id))).not.toContain('swordfish');
});

it('a command that nobody wants any more is ended on its worker', async () => {
  const marks = path.join(kiln.directory, 'marks');
  await rm(marks, { force: true });
  const id = await begin('cancelled', [`while true; do date >> ${marks}; sleep 0.2; done`]);
  await until('it runs', () => isThere(marks));
  await kiln.json('pipeline', 'cancel', id);
  await until('nothing is written any more', async () => {
    const before = await readFile(marks, 'utf8');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return before === (await readFile(marks, 'utf8'));
  });
});

it('a worker that dies leaves an outcome that nobody knows, and the next one goes on', async () => {
  const [begun, left] = [path.join(kiln.directory, 'begun'), path.join(kiln.directory, 'left')];
  const far = workers.at(-1);
  const retry = { Retry: [{ ErrorEquals: ['Kiln.OutcomeUnknown'], IntervalSeconds: 1, MaxAttempts: 1 }] };
  const commands = [`test -e ${begun} || { touch ${begun}; sleep 15; touch ${left}; }`, 'echo done'];
  const id = await begin('dies', commands, {}, { ...retry, End: true });
  await until('it runs', () => isThere(begun));
  if (far !== undefined) await killHard(far);
  await startWorker('next', 'linux,far');
  expect(await ended(id)).toMatchObject({ output: { exitCode: 0 }, status: 'SUCCEEDED' });
  const { history } = await kiln.json<{ history: { type: string; error?: string }[] }>(
    'pipeline',
    'show',
    id,
  );
  expect(history.filter(({ type }) => type === 'TaskFailed').map(({ error }) => error)).toEqual([
    'Kiln.OutcomeUnknown',
  ]);
  expect(await isThere(left)).toBe(false);
}, 120_000);
