/**
 * The time of whole commands, from the launcher's start to its end, with a server that runs the example: `status`,
 * an `up` with nothing changed, and what any verb costs before it does anything (`--help`).
 *
 *   node bench/cli.ts [--rounds N] [--json]
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import type { Kiln } from '../test/e2e/kiln.ts';
import { withKiln } from './own-kiln.ts';
import { atMost, median, report, say, timed } from './result.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, json: { type: 'boolean' } },
});
const rounds = Number(values.rounds);

async function medianOf(count: number, work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < count; round++) times.push(await timed(work));
  say(times.map((ms) => ms.toFixed(0)).join(' '));
  return median(times);
}

async function measure(kiln: Kiln): Promise<void> {
  await kiln.serve();
  const folder = await kiln.example('storefront');
  await kiln.json('up', folder);
  const started = (work: () => void) => medianOf(rounds, async () => work());
  report([
    {
      what: 'node with nothing to do (the floor)',
      value: await started(() => execFileSync(process.execPath, ['-e', '0'])),
      unit: 'ms',
    },
    { what: 'kiln --help', value: await medianOf(rounds, () => kiln.run('--help')), unit: 'ms' },
    {
      what: 'kiln status',
      value: await medianOf(rounds, () => kiln.json('status')),
      unit: 'ms',
      goal: atMost(150),
    },
    {
      what: 'kiln up, nothing changed',
      value: await medianOf(Math.min(5, rounds), () => kiln.json('up', folder)),
      unit: 'ms',
      goal: atMost(1_000),
    },
  ]);
}

await withKiln(measure);
