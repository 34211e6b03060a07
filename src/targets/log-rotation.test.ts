import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { logStart, rotateLog } from './log-rotation.ts';

const NEVER = new AbortController().signal;
const LIMITS = { maxBytes: 256 * 1024, keepBytes: 64 * 1024 };

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'kiln-rotation-'));
  file = path.join(directory, 'out.log');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** Numbers lines as fast as it can, into a file that it inherits, until told to end. */
function fastWriter() {
  const program = `
    const { writeSync } = require('node:fs');
    let line = 0;
    const until = Date.now() + 1500;
    while (Date.now() < until) {
      let block = '';
      for (let count = 0; count < 20; count += 1) block += 'line ' + line++ + ' ' + 'x'.repeat(60) + '\\n';
      writeSync(1, block);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
    writeSync(1, 'the end ' + line + '\\n');`;
  return spawn(process.execPath, ['-e', program], { stdio: ['ignore', openSync(file, 'a'), 'inherit'] });
}

test('loses no line while a fast writer goes on, and gives the space back', async () => {
  const writer = fastWriter();
  const archived: string[] = [];
  let rotations = 0;
  while (writer.exitCode === null) {
    await sleep(20);
    if (!(await rotateLog(file, NEVER, LIMITS))) continue;
    rotations += 1;
    archived.push(await readFile(`${file}.1`, 'utf8'));
    expect((await stat(file)).blocks * 512).toBeLessThan(LIMITS.maxBytes * 2);
  }
  expect(rotations).toBeGreaterThan(1);
  const rest = (await readFile(file)).subarray(await logStart(file)).toString();
  const lines = `${archived.join('')}${rest}`.trimEnd().split('\n');
  const total = Number(lines.at(-1)?.replace('the end ', ''));
  expect(lines).toHaveLength(total + 1);
  lines.slice(0, -1).forEach((line, number) => {
    if (!line.startsWith(`line ${number} `))
      throw new Error(`line ${number} is missing: ${line.slice(0, 40)}`);
  });
});

test('where holes cannot be punched it copies and empties', async () => {
  const writer = fastWriter();
  await new Promise((resolve) => writer.once('exit', resolve));
  const before = await readFile(file, 'utf8');
  expect(await rotateLog(file, NEVER, LIMITS, async () => false)).toBe(true);
  expect(await readFile(`${file}.1`, 'utf8')).toBe(before);
  expect((await stat(file)).size).toBe(0);
  expect(await logStart(file)).toBe(0);
});

test('a small file is left alone', async () => {
  openSync(file, 'a');
  expect(await rotateLog(file, NEVER, LIMITS)).toBe(false);
});
