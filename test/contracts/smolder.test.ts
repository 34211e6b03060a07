/**
 * Kiln's checks against what the real Smolder 0.6.0 printed for the same files and the same server.
 * The folder `conformance` is named by KILN_CONFORMANCE; without it the recorded outputs cannot be compared.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkFileExitCode, checkHost } from '../../src/checks/check-host.ts';
import { KilnError } from '../../src/domain/errors.ts';
import type { Clock } from '../../src/domain/ports/clock.ts';
import { freePort } from '../free-port.ts';

const root = path.resolve(import.meta.dirname, '../..');
const folder = path.join(process.env.KILN_CONFORMANCE ?? path.join(root, '../shared/conformance'), 'smolder');
const present = existsSync(folder);
const RECORDED_PORT = '18080';
const RECORDED_CLOSED_PORT = '40401';

const Expected = z.array(
  z.object({
    file: z.string(),
    host: z.string(),
    exit: z.number(),
    pass_lines: z.number(),
    fail_lines: z.number(),
    lastStdout: z.string(),
  }),
);

/** Where Kiln is better on purpose: what it prints more, and what it prints otherwise. */
const BETTER: Readonly<Record<string, { morePassLines?: number; more?: RegExp; why: string }>> = {
  '04_example_test.yaml': { why: 'the curl line can be pasted: its data is what is really sent, quoted' },
  '05_header_test.yaml': {
    why: 'response_headers_present of its own example is ignored there; the curl line can be pasted',
    morePassLines: 1,
    more: /^response_headers_present: Header x-int-requestid: 42 present/,
  },
};

/**
 * Pauses between attempts are not waited for: the seven attempts are what counts. And every answer takes a few
 * milliseconds, however busy this machine is.
 */
const ANSWER_MS = 4;
let lookedAtMs = 0;
const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => {
    lookedAtMs += ANSWER_MS;
    return lookedAtMs;
  },
  sleep: async () => {},
};

let server: ChildProcess | undefined;
let port = '';
let closedPort = '';

async function startFixture(): Promise<void> {
  port = String(await freePort());
  closedPort = String(await freePort());
  const child = spawn(process.execPath, [path.join(folder, 'fixture-server.mjs'), port], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  server = child;
  await new Promise((resolve, reject) => {
    child.stdout?.once('data', resolve);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`The fixture server ended with ${code}`)));
  });
}

const localPorts = (text: string) =>
  text.replaceAll(RECORDED_PORT, port).replaceAll(RECORDED_CLOSED_PORT, closedPort);

async function run(file: string, host: string): Promise<{ exit: number; output: string }> {
  let output = '';
  const text = localPorts(await readFile(path.join(folder, file), 'utf8'));
  try {
    const exit = await checkHost({
      host,
      file: { text, name: path.basename(file) },
      format: 'text',
      colour: true,
      clock,
      signal: AbortSignal.timeout(60_000),
      write: (piece) => {
        output += piece;
      },
    });
    return { exit, output };
  } catch (thrown) {
    const exit = thrown instanceof KilnError ? checkFileExitCode(thrown) : undefined;
    if (exit === undefined) throw thrown;
    return { exit, output };
  }
}

const isOutcome = (line: string) => /\[(PASS|FAIL)\]/.test(line);
const count = (output: string, word: string) => output.split(`[${word}]`).length - 1;

/** As they were recorded; how many dots fill the line depends on the digits. */
function withoutTimes(line: string): string {
  return line.replace(/\d+ms/g, '<N>ms').replace(/(<N>ms.*?)\.{3,}/, '$1…');
}

function comparable(text: string, more: RegExp | undefined) {
  // Smolder prints Python's own form of `data`, unquoted; Kiln's can be pasted.
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => withoutTimes(line).replace(/ (-d\{|--data-raw ).* -X /, ' DATA -X '));
  return {
    fixed: lines.filter((line) => !isOutcome(line)),
    outcomes: lines.filter((line) => isOutcome(line) && !more?.test(line)).sort(),
  };
}

if (!present && process.env.CI === 'true') {
  it('has the recorded outputs of Smolder', () => {
    expect.fail(`KILN_CONFORMANCE names no folder with smolder/ in it (looked for ${folder})`);
  });
}

describe.skipIf(!present)('the recorded runs of Smolder 0.6.0 (KILN_CONFORMANCE)', async () => {
  const expected = present
    ? Expected.parse(JSON.parse(await readFile(path.join(folder, 'expected.json'), 'utf8')))
    : [];

  beforeAll(startFixture);
  afterAll(async () => {
    if (server === undefined || server.exitCode !== null) return;
    const gone = new Promise((resolve) => server?.once('exit', resolve));
    server.kill('SIGKILL');
    await gone;
  });

  it('covers every recorded file', () => {
    expect(expected).toHaveLength(13);
  });

  it.each(expected)('$file exits with $exit', async (record) => {
    const name = path.basename(record.file);
    const better = BETTER[name];
    const { exit, output } = await run(record.file, record.host);
    expect(exit).toBe(record.exit);
    expect(count(output, 'PASS')).toBe(record.pass_lines + (better?.morePassLines ?? 0));
    expect(count(output, 'FAIL')).toBe(record.fail_lines);
    expect(output.trimEnd().split('\n').at(-1)).toBe(record.lastStdout);
    const golden = localPorts(await readFile(path.join(folder, 'golden', `${name}.stdout`), 'utf8'));
    expect(comparable(output, better?.more)).toEqual(comparable(golden, undefined));
  });
});
