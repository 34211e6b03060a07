/**
 * What the control process takes while it has nothing to do: memory and processor time, with three instances and a
 * worker in one environment and one of each in another; and memory again after a bake of a large app.
 *
 *   node bench/footprint.ts [--tree DIR] [--json]
 *
 * The process is observed after it was idle for 30 s. With --tree, that app is baked too: cold, and after a change.
 * Baking is done by a process of its own, which lives on for a while and is not counted.
 */
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Kiln } from '../test/e2e/kiln.ts';
import { changeOneLine, makeLargeApp } from './large-app.ts';
import { withKiln } from './own-kiln.ts';
import { atMost, type Row, report, say } from './result.ts';

const SETTLE_MS = 30_000;
const AFTER_BAKE_MS = 10_000;
const OBSERVE_MS = 20_000;
const MEMORY_GOAL_MB = 130;
const PROCESSOR_GOAL_PERCENT = 0.5;

const { values } = parseArgs({ options: { tree: { type: 'string' }, json: { type: 'boolean' } } });
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK']).toString());

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** Of one core, in percent, all threads together. */
async function processorPercent(pid: number): Promise<number> {
  const [before, startedAt] = [await processorTicks(pid), performance.now()];
  await sleep(OBSERVE_MS);
  const seconds = (performance.now() - startedAt) / 1000;
  return (((await processorTicks(pid)) - before) / ticksPerSecond / seconds) * 100;
}

async function processorTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

async function afterLargeBake(kiln: Kiln, pid: number, tree: string): Promise<Row> {
  const app = path.join(kiln.directory, 'large');
  await makeLargeApp(app, tree);
  await kiln.json('bake', app);
  await changeOneLine(app);
  await kiln.json('bake', app);
  say(`right after the bake: ${(await residentMb(pid)).toFixed(0)} MB`);
  await sleep(AFTER_BAKE_MS);
  return {
    what: 'memory, idle after a bake of a large app',
    value: await residentMb(pid),
    unit: 'MB',
    goal: atMost(MEMORY_GOAL_MB),
  };
}

async function measure(kiln: Kiln): Promise<void> {
  await kiln.serve();
  const pid = (await kiln.serverFile())?.pid;
  if (pid === undefined) throw new Error('the server is not running');
  const fresh = await residentMb(pid);
  await kiln.json('up', await kiln.example('storefront'));
  say('deployed; waiting until it is idle…');
  await sleep(SETTLE_MS);
  const rows: Row[] = [
    { what: 'memory, just started', value: fresh, unit: 'MB', goal: atMost(MEMORY_GOAL_MB) },
    {
      what: 'processor, idle, of one core',
      value: await processorPercent(pid),
      unit: '%',
      goal: atMost(PROCESSOR_GOAL_PERCENT),
    },
    {
      what: 'memory, idle after two deployments',
      value: await residentMb(pid),
      unit: 'MB',
      goal: atMost(MEMORY_GOAL_MB),
    },
  ];
  if (values.tree !== undefined) rows.push(await afterLargeBake(kiln, pid, values.tree));
  report(rows);
}

await withKiln(measure);
