/**
 * Runs every bench that this machine can, one after the other, and prints one table. The exit code is 1 when a goal
 * was missed or a bench failed.
 *
 *   npm run bench [-- --tree DIR]
 *
 * --tree names a folder with the dependencies of the large app (see large-app.ts); without it they are installed once.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { makeLargeApp } from './large-app.ts';
import { type Row, report, say, table } from './result.ts';

/** The quiet ones first: a machine that has just been busy is slower for a while. */
const BENCHES = [
  'footprint',
  'cli',
  'deploy',
  'router',
  'store',
  'pipeline',
  'logs',
  'catalogue',
  'janitor',
  'bake',
  'push',
  'push-to-live',
];
const WITH_TREE: ReadonlySet<string> = new Set(['footprint', 'bake', 'push']);

const { values } = parseArgs({ options: { tree: { type: 'string' }, json: { type: 'boolean' } } });
const room = await mkdtemp(path.join(tmpdir(), 'kiln-bench-all-'));
try {
  const tree = values.tree ?? path.join(room, 'app');
  if (values.tree === undefined) await makeLargeApp(tree, undefined);
  const rows: Row[] = [];
  for (const bench of BENCHES) {
    say(`— ${bench}`);
    const found = await run(bench, WITH_TREE.has(bench) ? ['--tree', tree] : []);
    say(table(found));
    rows.push(...found);
  }
  report(rows);
} finally {
  await rm(room, { recursive: true, force: true });
}

async function run(bench: string, args: readonly string[]): Promise<Row[]> {
  const file = path.join(import.meta.dirname, `${bench}.ts`);
  const child = spawn(process.execPath, [file, '--json', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [code] = await once(child, 'close');
  const line = output.trim().split('\n').at(-1) ?? '';
  if (line.startsWith('[')) return JSON.parse(line);
  process.exitCode = 1;
  return [{ what: bench, missing: `it ended with ${code}` }];
}
