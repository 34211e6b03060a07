/**
 * The log of one task that writes as fast as it can, with ten followers, two of them slow; then the same log opened at
 * its beginning and far behind it.
 *
 *   node bench/logs.ts [--lines N] [--json]
 *
 * The peer is the same command with its output in a plain file, and nobody who reads it.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { type Client, createClient } from '../src/api/client.ts';
import { nodeTransport } from '../src/cli/node-transport.ts';
import { type Kiln, until } from '../test/e2e/kiln.ts';
import { type Gate, openGate } from '../test/gate.ts';
import { withKiln } from './own-kiln.ts';
import { atLeast, atMost, median, type Row, report, timed } from './result.ts';

const FOLLOWERS = 10;
const SLOW = 2;
const ROUNDS = 9;

const { values } = parseArgs({
  options: { lines: { type: 'string', default: '1000000' }, json: { type: 'boolean' } },
});
const lines = Number(values.lines);
const command = `seq -f 'line %.0f of a build that tells what it does, step by step' 1 ${lines}`;

async function begin(kiln: Kiln, client: Client, gate: Gate): Promise<{ id: string; task: string }> {
  const directory = path.join(kiln.directory, 'wordy');
  await mkdir(directory);
  await writeFile(
    path.join(directory, 'kiln.yaml'),
    'component: wordy\nimage: {kind: bundle, run: sleep 1}\nservice: {port: 8080}\n',
  );
  // Something to be looked for in every byte.
  await mkdir(path.join(kiln.state, 'secrets'), { recursive: true, mode: 0o700 });
  await writeFile(path.join(kiln.state, 'secrets/bench'), randomBytes(600).toString('base64'), {
    mode: 0o600,
  });
  const parameters = { commands: [gate.wait, command], secrets: { SECRET: 'bench' } };
  const state = { Type: 'Task', Resource: 'cmd', Parameters: parameters, End: true };
  await writeFile(
    path.join(directory, 'pipeline.yaml'),
    JSON.stringify({ StartAt: 'Build', States: { Build: state } }),
  );
  const { id } = await client.call('executions.start', { body: { directory } });
  let task = '';
  await until('the task has begun', async () => {
    task = (await client.call('executions.logs', { params: { id } })).items[0]?.task ?? '';
    return task !== '';
  });
  return { id, task };
}

/** How many of the lines came, each once and in its place. */
async function follow(client: Client, id: string, task: string, pauseMs: number): Promise<number> {
  let next = 1;
  let rest = '';
  const input = { params: { id, task }, query: { follow: 'true' } };
  for await (const { event, data = '' } of client.follow('executions.log', input)) {
    if (event !== 'text') continue;
    const { text }: { text: string } = JSON.parse(data);
    const came = (rest + text).split('\n');
    rest = came.pop() ?? '';
    for (const line of came) if (line.startsWith(`line ${next} `)) next += 1;
    if (pauseMs > 0) await sleep(pauseMs);
  }
  return next - 1;
}

async function memoryMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

async function openedAt(client: Client, id: string, task: string, from: number): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const input = { params: { id, task }, query: { from: from + round, limit: 100 } };
    times.push(await timed(() => client.call('executions.lines', input)));
  }
  return median(times);
}

async function measure(kiln: Kiln): Promise<readonly Row[]> {
  await kiln.serve();
  const server = await kiln.serverFile();
  const token = (await readFile(path.join(kiln.state, 'token'), 'utf8')).trim();
  const client = createClient({
    transport: nodeTransport,
    url: server?.url ?? '',
    token,
    patienceMs: 10_000,
    now: () => performance.now(),
    sleep: (ms, signal) => sleep(ms, undefined, signal && { signal }),
    newKey: () => crypto.randomUUID(),
  });
  const plain = path.join(kiln.directory, 'plain');
  const plainMs = await timed(() => promisify(execFile)('/bin/sh', ['-c', `${command} > ${plain}`]));
  const gate = await openGate();
  const { id, task } = await begin(kiln, client, gate);
  const before = await memoryMb(server?.pid ?? 0);
  const samples: number[] = [];
  const watching = setInterval(() => {
    void memoryMb(server?.pid ?? 0).then((now) => samples.push(now));
  }, 100);
  const fast = Array.from({ length: FOLLOWERS - SLOW }, () => follow(client, id, task, 0));
  const slow = Array.from({ length: SLOW }, () => follow(client, id, task, 5));
  gate.open();
  const counts: number[] = [];
  const ms = await timed(async () => counts.push(...(await Promise.all(fast))));
  counts.push(...(await Promise.all(slow)));
  clearInterval(watching);
  gate.close();
  const half = Math.floor(samples.length / 2);
  const [first, second] = [Math.max(...samples.slice(0, half)), Math.max(...samples.slice(half))];
  const blocks = path.join(kiln.state, 'pipelines/logs', id, task, 'blocks');
  const kept = (await stat(blocks)).size / (await stat(plain)).size;
  return [
    {
      what: `log, lines a second to ${FOLLOWERS} followers`,
      value: (lines / ms) * 1_000,
      unit: '/s',
      peer: { name: 'written to a plain file', value: (lines / plainMs) * 1_000 },
      goal: atLeast(50_000),
    },
    {
      what: '… lines that any of them missed',
      value: counts.reduce((missed, count) => missed + lines - count, 0),
      unit: '',
      goal: atMost(0),
    },
    {
      what: '… memory of the server, more than before',
      value: Math.max(first, second) - before,
      unit: 'MB',
      goal: atMost(250),
    },
    {
      what: '… memory of the server in its second half',
      value: second,
      unit: 'MB',
      peer: { name: 'in its first half', value: first },
      goal: atMost(1.3, 'ratio'),
    },
    {
      what: `log of ${lines.toLocaleString('en')} lines, opened at 90 %`,
      value: await openedAt(client, id, task, Math.floor(lines * 0.9)),
      unit: 'ms',
      peer: { name: 'at its beginning', value: await openedAt(client, id, task, 1) },
      goal: atMost(5, 'ratio'),
    },
    { what: '… its size on disk, of its text', value: kept * 100, unit: '%', goal: atMost(25) },
  ];
}

await withKiln(async (kiln) => report(await measure(kiln)));
