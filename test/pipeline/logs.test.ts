/** Logs of tasks, on disk: masked, opened at any line, followed by many, over a kill and a disk that takes nothing. */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskLog } from '../../src/domain/ports/task-log.ts';
import { Masker } from '../../src/pipeline/logs/masker.ts';
import { formsOf } from '../../src/pipeline/logs/secret-forms.ts';
import { DiskTaskLogs } from '../../src/pipeline/logs/task-logs.ts';
import { systemClock } from '../../src/server/system-clock.ts';

let folder = '';
let logs: DiskTaskLogs;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kiln-logs-'));
  logs = openLogs();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const openLogs = (): DiskTaskLogs => new DiskTaskLogs(folder, systemClock, { warn: console.error });

function begin(key: string, secrets: readonly string[] = []): Promise<TaskLog> {
  const [execution = ''] = key.split('/');
  return logs.open({ key, execution, pipeline: 'shop', state: 'Build', secrets });
}

async function textOf(key: string, from = 1, follow = false): Promise<string> {
  const [execution = '', task = ''] = key.split('/');
  const pieces: Buffer[] = [];
  const signal = new AbortController().signal;
  for await (const { bytes } of logs.follow(execution, task, { line: from }, follow, signal))
    pieces.push(bytes);
  return Buffer.concat(pieces).toString();
}

const numbered = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, at) => `line ${from + at} of the build\n`).join('');

describe('masking', () => {
  /** Every byte of every occurrence of every form, each run of them as one mask. */
  function maskedAtOnce(text: Buffer, secrets: readonly string[]): string {
    const hidden = new Uint8Array(text.length);
    for (const form of formsOf(secrets)) {
      for (let at = text.indexOf(form); at !== -1; at = text.indexOf(form, at + 1))
        hidden.fill(1, at, at + form.length);
    }
    let out = '';
    for (let at = 0; at < text.length; at += 1) {
      if (hidden[at] === 0) out += String.fromCharCode(text[at] ?? 0);
      else if (at === 0 || hidden[at - 1] === 0) out += '***';
    }
    return out;
  }

  it('is the same however the text is cut', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', '\n', ' '), minLength: 1, maxLength: 5 });
    const bytes = fc.array(word, { maxLength: 40 }).map((words) => Buffer.from(words.join('')));
    fc.assert(
      fc.property(bytes, fc.array(word, { maxLength: 4 }), fc.array(fc.nat(12)), (text, secrets, cuts) => {
        const masker = new Masker(secrets);
        const out: Buffer[] = [];
        let at = 0;
        for (const size of [...cuts, text.length]) {
          out.push(masker.push(Buffer.from(text.subarray(at, at + size))));
          at += size;
        }
        out.push(masker.end());
        expect(Buffer.concat(out).toString('latin1')).toBe(maskedAtOnce(text, secrets));
      }),
      { numRuns: 2_000 },
    );
  });

  it('hides what programs make of a secret, and never a part of it', () => {
    const secret = 'pä/ss+w"ord 1';
    const key = '-----BEGIN KEY-----\nMIIabcdefgh\nijklmnopqr==\n-----END KEY-----\n';
    const shown = [
      secret,
      Buffer.from(`user:${secret}`).toString('base64'),
      Buffer.from(`me:${secret}@host`).toString('base64url'),
      encodeURIComponent(secret),
      new URLSearchParams({ secret }).toString(),
      JSON.stringify({ secret }),
      Buffer.from(secret).toString('hex'),
      ...key
        .trim()
        .split('\n')
        .map((line) => `    ${line}\r`),
    ].join('\n');
    const masker = new Masker([secret, key, ' ']);
    const masked = Buffer.concat([...Buffer.from(shown)].map((byte) => masker.push(Buffer.of(byte))));
    const text = masked.toString() + masker.end().toString();
    expect(text.match(/\*\*\*/g)?.length).toBe(11);
    for (const left of [
      'ss+w',
      'ss%2Bw',
      '73732b',
      'MII',
      'ijkl',
      'BEGIN',
      Buffer.from('ss+w').toString('base64').slice(0, 4),
    ])
      expect(text).not.toContain(left);
    expect(text).toContain('secret=***');
    expect(text).toContain('{"secret":"***"}');
  });
});

describe('a log', () => {
  it('opens at any line, from the end too, while it is written and afterwards; ANSI and torn characters are kept', async () => {
    const log = await begin('exec-a/task1', ['hunter2']);
    await log.group('npm ci --token hunter2');
    const text = `${numbered(1, 30_000)}\u001b[31mred ✓ hunter2\u001b[0m\n${numbered(30_001, 60_001)}`;
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += 7_001) await log.write(bytes.subarray(at, at + 7_001));
    const expected = text.replace('hunter2', '***');
    const check = async (): Promise<void> => {
      expect(await textOf('exec-a/task1')).toBe(expected);
      const all = expected.split('\n');
      for (const from of [1, 2, 29_999, 30_000, 45_678, 60_000]) {
        const window = await logs.window('exec-a', 'task1', from, 3);
        expect(window.items.map((line) => line.text)).toEqual(
          all.slice(from - 1, Math.min(from + 2, 60_000)),
        );
        expect(window.lines).toBe(60_000);
      }
      expect((await logs.window('exec-a', 'task1', -2, 9)).items[0]?.text).toBe('line 59999 of the build');
      expect((await logs.window('exec-a', 'task1', 70_000, 9)).items).toEqual([]);
    };
    expect((await log.tail(20)).length).toBe(20);
    await check();
    await log.group('npm test');
    await log.write(Buffer.from('no newline at the end'));
    await log.group('after');
    await log.close();
    const [facts] = await logs.list('exec-a');
    expect(facts).toMatchObject({ state: 'Build', live: false, lines: 60_001, lostBytes: 0 });
    expect(facts?.groups.map(({ title, line }) => [title, line])).toEqual([
      ['npm ci --token ***', 1],
      ['npm test', 60_001],
      ['after', 60_002],
    ]);
    const names = await readdir(path.join(folder, 'exec-a/task1'));
    expect(names.toSorted()).toEqual(['about.json', 'blocks', 'end.json', 'groups', 'index']);
    const kept = (await readFile(path.join(folder, 'exec-a/task1/blocks'))).length;
    expect(kept).toBeLessThan(expected.length / 4);
    for (const part of ['about.json', 'groups'])
      expect(await readFile(path.join(folder, 'exec-a/task1', part), 'utf8')).not.toContain('hunter2');
    // Opening it reads the block of the line, and no other: one that cannot be read is not missed.
    const blocks = path.join(folder, 'exec-a/task1/blocks');
    await writeFile(blocks, Buffer.alloc(100), { flag: 'r+' });
    const anew = openLogs();
    expect((await anew.window('exec-a', 'task1', 45_678, 1)).items[0]?.text).toBe(
      expected.split('\n')[45_677],
    );
    await expect(anew.window('exec-a', 'task1', 1, 1)).rejects.toMatchObject({ code: 'store.damaged' });
  });

  it('holds a line that is longer than a block', async () => {
    const log = await begin('exec-a/task2');
    const long = 'é'.repeat(400_000);
    await log.write(Buffer.from(`first\n${long}\nlast\n`));
    await log.close();
    expect(await textOf('exec-a/task2')).toBe(`first\n${long}\nlast\n`);
    const { items, lines } = await logs.window('exec-a', 'task2', 2, 5);
    expect([lines, items.map(({ cut }) => cut), items[1]?.text]).toEqual([3, [true, false], 'last']);
    expect((await logs.window('exec-a', 'task2', 3, 5)).items).toEqual([{ text: 'last', cut: false }]);
  });

  it('is followed by ten without loss: from anywhere, fast, slow, and coming back', async () => {
    const log = await begin('exec-b/task1', ['sesame']);
    const total = 60_000;
    const line = (n: number): string => `${n} ${'x'.repeat(n % 90)} sesame\n`;
    const expected = Array.from({ length: total }, (_, n) => line(n))
      .join('')
      .replaceAll('sesame', '***');
    const writing = (async () => {
      for (let n = 0; n < total; n += 500) {
        const lines = Array.from({ length: 500 }, (_, at) => line(n + at)).join('');
        const cut = n % lines.length;
        await log.write(Buffer.from(lines.slice(0, cut)));
        await log.write(Buffer.from(lines.slice(cut)));
        if (n % 5_000 === 0) await sleep(5);
      }
      await log.close();
    })();
    const read = async (number: number): Promise<string> => {
      let text = '';
      let textOffset = 0;
      for (let ended = false; !ended; ) {
        ended = true;
        const stop = new AbortController();
        for await (const piece of logs.follow('exec-b', 'task1', { textOffset }, true, stop.signal)) {
          text += piece.bytes.toString();
          textOffset = piece.textOffset;
          if (number === 0) await sleep(20); // far slower than it is written
          if (number !== 1) continue;
          ended = false; // loses its connection after each piece
          break;
        }
      }
      return text;
    };
    const texts = await Promise.all(Array.from({ length: 10 }, (_, number) => read(number)));
    await writing;
    for (const text of texts) expect(text === expected).toBe(true);
    expect(await textOf('exec-b/task1', total - 1)).toBe(expected.split('\n').slice(-3).join('\n'));
  });

  it('is whole up to what was written when its server is killed, and is gone on with', async () => {
    const script = `
      import { DiskTaskLogs } from '${path.resolve('src/pipeline/logs/task-logs.ts')}';
      import { systemClock } from '${path.resolve('src/server/system-clock.ts')}';
      const logs = new DiskTaskLogs(process.argv[1], systemClock, { warn: console.error });
      const log = await logs.open({ key: 'exec-c/task1', execution: 'exec-c', pipeline: 'p', state: 'S', secrets: [] });
      for (let n = 1; ; n += 100) {
        await log.write(Buffer.from(Array.from({ length: 100 }, (_, at) => 'line ' + (n + at) + ' of the build\\n').join('')));
        await log.tail(1);
        process.stdout.write(n + 99 + '\\n');
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, folder]);
    const exit = once(child, 'exit');
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.length > 3_000) child.kill('SIGKILL');
    });
    await exit;
    const known = Number(said.split('\n').at(-2));
    const text = await textOf('exec-c/task1', 1, true);
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    expect(whole.split('\n').length - 1).toBeGreaterThanOrEqual(known);
    expect(whole).toBe(numbered(1, whole.split('\n').length));
    // A block and an entry that were cut off by a loss of power too.
    const files = path.join(folder, 'exec-c/task1');
    await appendFile(path.join(files, 'blocks'), 'half a frame');
    await appendFile(path.join(files, 'index'), Buffer.alloc(30, 1));
    expect(await textOf('exec-c/task1')).toBe(text);
    const log = await begin('exec-c/task1');
    await log.write(Buffer.from(numbered(1, 20_000)));
    await log.close();
    expect(await textOf('exec-c/task1')).toBe(text + numbered(1, 20_000));
    await truncate(path.join(files, 'blocks'), 100);
    logs = openLogs(); // what was read before is known without the disk
    await expect(textOf('exec-c/task1')).rejects.toMatchObject({ code: 'store.damaged' });
  });

  it('goes on when the disk is full, and says what is missing', async (context) => {
    const small = path.join(folder, 'small');
    await mkdir(small);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small], {
      encoding: 'utf8',
    });
    if (mounted.status !== 0) {
      if (process.env.CI === 'true') throw new Error(`A tmpfs cannot be mounted: ${mounted.stderr}`);
      context.skip('a tmpfs cannot be mounted here: it takes root');
    }
    try {
      const there = new DiskTaskLogs(path.join(small, 'logs'), systemClock, { warn: () => undefined });
      await writeFile(path.join(small, 'ballast'), Buffer.alloc(512 * 1024));
      const about = { key: 'exec-e/task1', execution: 'exec-e', pipeline: 'p', state: 'S', secrets: [] };
      const log = await there.open(about);
      const line = (): string => `${randomBytes(400).toString('hex')}\n`;
      const written = Array.from({ length: 2_000 }, line).join('');
      for (let at = 0; at < written.length; at += 9_001)
        await log.write(Buffer.from(written.slice(at, at + 9_001)));
      expect(await log.tail(100)).not.toBe('');
      await rm(path.join(small, 'ballast'));
      await log.write(Buffer.from('after\n'));
      await log.close();
      const [facts] = await there.list('exec-e');
      let text = '';
      for await (const bytes of there.text('exec-e', 'task1', new AbortController().signal)) text += bytes;
      const said = /\[kiln\] (\d+) bytes of this log are missing: ENOSPC.*\nafter\n$/.exec(text);
      const kept = text.slice(0, said?.index).replace(/\n$/, '');
      expect(Number(said?.[1])).toBe(facts?.lostBytes);
      expect(kept.length).toBeGreaterThan(100_000);
      expect(written.startsWith(kept)).toBe(true);
      expect(written.length - kept.length - (facts?.lostBytes ?? 0)).toBeLessThanOrEqual(1);
    } finally {
      spawnSync('umount', ['--lazy', small]);
    }
  });

  it('has a name that leads nowhere else, and goes with its execution', async () => {
    await writeFile(path.join(folder, 'beside'), '');
    for (const name of ['..', '../beside', '.', 'a/../..', ''])
      await expect(logs.window('exec-a', name, 1, 1)).rejects.toMatchObject({
        code: expect.stringMatching(/path|not-found/),
      });
    await logs.remove('exec-a');
    expect(await logs.list('exec-a')).toEqual([]);
    expect(await logs.executions()).not.toContain('exec-a');
  });
});
