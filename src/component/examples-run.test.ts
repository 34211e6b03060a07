import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { freePort } from '../../test/free-port.ts';
import { checkStandardAnswer, STANDARD_ENDPOINTS, STANDARD_PATHS } from '../domain/service-standard.ts';

const EXAMPLES = path.join(import.meta.dirname, '../../examples');
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Running {
  readonly base: string;
  readonly stop: () => Promise<number | null>;
}

/** Starts an example as its README says, in a copy, with the environment that Kiln gives. */
async function start(name: string, command: string, args: readonly string[]): Promise<Running> {
  const directory = await mkdtemp(path.join(tmpdir(), `kiln-${name}-`));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  await cp(path.join(EXAMPLES, name), directory, { recursive: true });
  if (name === 'storefront') execFileSync(process.execPath, ['build.js'], { cwd: directory });
  const port = await freePort();
  const child = spawn(command, args, {
    cwd: directory,
    stdio: 'ignore',
    env: {
      PATH: process.env.PATH,
      PORT: String(port),
      HOST: '127.0.0.1',
      KILN_VERSION: '1.2.3',
      STEP: '2',
      API_TOKEN: 'hunter2',
    },
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  cleanups.push(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const base = `http://127.0.0.1:${port}`;
  await answering(base, child);
  return {
    base,
    stop: () => {
      child.kill('SIGTERM');
      return ended;
    },
  };
}

async function answering(base: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline && child.exitCode === null) {
    try {
      if ((await fetch(`${base}${STANDARD_PATHS.gtg}`)).ok) return;
    } catch {
      // Not listening yet: that is what is waited for.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`it never got ready; exit code ${child.exitCode}`);
}

const hasPython = isThere('python3');
function isThere(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const EXAMPLE_COMMANDS = [
  { name: 'storefront', command: process.execPath, args: ['server.js'], there: true },
  { name: 'counter', command: 'python3', args: ['counter.py'], there: hasPython },
];

for (const { name, command, args, there } of EXAMPLE_COMMANDS) {
  test.skipIf(!there && process.env.CI !== 'true')(
    `examples/${name} answers the standard endpoints and ends by itself (needs the Debian package ${command === 'python3' ? 'python3' : 'nodejs'})`,
    async () => {
      const { base, stop } = await start(name, command, args);
      for (const endpoint of STANDARD_ENDPOINTS) {
        const answer = await fetch(`${base}${STANDARD_PATHS[endpoint]}`);
        const body = await answer.text();
        const headers = Object.fromEntries(answer.headers);
        const expected = { component: name, version: '1.2.3' };
        expect(checkStandardAnswer(endpoint, answer.status, headers, body, expected)).toEqual([]);
        expect(body).not.toContain('hunter2');
      }
      expect((await fetch(`${base}/`)).status).toBe(200);
      expect((await fetch(`${base}/nowhere`)).status).toBe(404);
      expect(await stop()).toBe(0);
    },
  );
}

test.skipIf(!hasPython && process.env.CI !== 'true')(
  'the counter counts (needs the Debian package python3)',
  async () => {
    const { base } = await start('counter', 'python3', ['counter.py']);
    const counts = await Promise.all(
      Array.from({ length: 20 }, async () => Number.parseInt(await (await fetch(base)).text(), 10)),
    );
    expect(counts.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, index) => 2 * (index + 1)),
    );
  },
);
