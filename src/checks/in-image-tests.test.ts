import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  batsCommand,
  batsFindings,
  globExpression,
  listCommand,
  scriptCommand,
  scriptFindings,
} from './in-image-tests.ts';

const hasBats = spawnSync('sh', ['-c', 'command -v bats']).status === 0;
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kiln-in-image-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(file: string, text: string, mode = 0o644): void {
  mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
  writeFileSync(path.join(folder, file), text);
  chmodSync(path.join(folder, file), mode);
}

/** As `npm install` would lay it out. */
function npmPackage(name: string, to: string): void {
  const packed = execFileSync('npm', ['pack', '--silent', name], { cwd: folder, encoding: 'utf8' }).trim();
  mkdirSync(path.join(folder, to), { recursive: true });
  execFileSync('tar', ['-xzf', packed, '--strip-components=1', '-C', to], { cwd: folder });
}

function shell(command: string, env: NodeJS.ProcessEnv = process.env) {
  const ended = spawnSync('/bin/sh', ['-c', command], { cwd: folder, env, encoding: 'utf8' });
  return { exitCode: ended.status ?? -1, logTail: `${ended.stdout}${ended.stderr}`.trimEnd().split('\n') };
}

describe('the commands', () => {
  it('list what a pattern fits, whatever its name', () => {
    put('test/a.bats', '');
    put('test/deep/b.bats', '');
    put("test/it's $(touch x).bats", '');
    const listed = shell(listCommand('test/*.bats', 0)).logTail.sort();
    expect(listed).toEqual([
      'kiln-test-file ./test/a.bats',
      'kiln-test-file ./test/deep/b.bats',
      "kiln-test-file ./test/it's $(touch x).bats",
    ]);
    expect(shell(listCommand('nowhere/*.sh', 0))).toEqual({ exitCode: 0, logTail: [''] });
    expect(shell(listCommand('test/a.bats', 0)).logTail).toEqual(['kiln-test-file ./test/a.bats']);
  });

  it('list many files page by page', () => {
    for (let number = 10; number < 55; number++) put(`t/${number}.sh`, '');
    expect(shell(listCommand('t/*.sh', 0)).logTail).toHaveLength(40);
    expect(shell(listCommand('t/*.sh', 1)).logTail.at(-1)).toBe('kiln-test-file ./t/54.sh');
    expect(shell(listCommand('t/*.sh', 1)).logTail).toHaveLength(5);
  });

  it('list the same with nothing but a shell', () => {
    put("test/it's $(touch x).bats", '');
    put('test/deep/b.bats', '');
    put('test/deep/b.sh', '');
    for (let number = 10; number < 55; number++) put(`t/${number}.sh`, '');
    const bare = { PATH: path.join(folder, 'nothing') };
    for (const [pattern, page] of [
      ['test/*.bats', 0],
      ['**/*.sh', 0],
      ['**/*.sh', 1],
      ['t/*.sh', 1],
      ['test/deep/b.bats', 0],
      ['nowhere/*.sh', 0],
    ] as const) {
      const listed = shell(listCommand(pattern, page), bare);
      expect(listed).toEqual(shell(listCommand(pattern, page)));
    }
  });

  it('run a script by its exit code and its own first line', () => {
    put('ok.sh', 'exit 0');
    put('bad.sh', 'echo "no disk"; exit 3');
    put("it's.sh", '#!/usr/bin/env bash\n[[ -n $BASH_VERSION ]]', 0o755);
    expect(scriptFindings('ok.sh', shell(scriptCommand('ok.sh')))).toEqual({ passedCount: 1, failures: [] });
    expect(scriptFindings('bad.sh', shell(scriptCommand('bad.sh')))).toEqual({
      passedCount: 0,
      failures: ['bad.sh: ended with exit code 3: no disk'],
    });
    expect(shell(scriptCommand("it's.sh")).exitCode).toBe(0);
  });

  it.skipIf(!hasBats && process.env.CI !== 'true')('run bats (needs the Debian package bats)', () => {
    put('t.bats', '@test "one" { true; }\n@test "two" { echo why; false; }\n@test "three" { skip; }\n');
    const found = batsFindings('t.bats', shell(batsCommand('t.bats')));
    expect(found.passedCount).toBe(2);
    expect(found.failures).toHaveLength(1);
    expect(found.failures[0]).toMatch(/^t\.bats: two: .*why/);
    put('good.bats', '@test "one" { [ "$BASE_URL" = x ]; }\n');
    const good = shell(batsCommand('good.bats'), { ...process.env, BASE_URL: 'x' });
    expect(batsFindings('good.bats', good)).toEqual({ passedCount: 1, failures: [] });
  });

  it('name what is missing: bats, bash, a place for temporary files', () => {
    put('t.bats', '@test "one" { true; }\n');
    const tools = path.join(folder, 'bin');
    mkdirSync(tools);
    const bare = { PATH: tools, TMPDIR: folder };
    expect(() => batsFindings('t.bats', shell(batsCommand('t.bats'), bare))).toThrow(
      expect.objectContaining({ code: 'tool.missing', details: { tool: 'bash' } }),
    );
    const bash = execFileSync('sh', ['-c', 'command -v bash'], { encoding: 'utf8' }).trim();
    execFileSync('ln', ['-s', bash, path.join(tools, 'bash')]);
    expect(() => batsFindings('t.bats', shell(batsCommand('t.bats'), bare))).toThrow(
      expect.objectContaining({ code: 'tool.missing', details: { tool: 'bats' } }),
    );
    writeFileSync(path.join(tools, 'bats'), '#!/bin/sh\necho "1..1"; echo "ok 1 x"\n', { mode: 0o755 });
    const noTemp = { PATH: tools, TMPDIR: path.join(folder, 'none') };
    expect(() => batsFindings('t.bats', shell(batsCommand('t.bats'), noTemp))).toThrow(
      expect.objectContaining({ code: 'image.unfit' }),
    );
  });

  it('prefers the npm package bats of the component, a real one, whatever the system has', {
    timeout: 240_000,
  }, () => {
    npmPackage('bats@1.11.0', 'node_modules/bats');
    mkdirSync(path.join(folder, 'node_modules/.bin'));
    symlinkSync('../bats/bin/bats', path.join(folder, 'node_modules/.bin/bats'));
    const ofComponent = `[[ $BATS_ROOT = */node_modules/bats ]] && [ "$BATS_VERSION" = 1.11.0 ]`;
    put('t.bats', `@test "mine" { ${ofComponent}; }\n@test "broken" { echo why; false; }\n`);
    const found = batsFindings('t.bats', shell(batsCommand('t.bats')));
    expect(found.passedCount).toBe(1);
    expect(found.failures).toEqual([expect.stringMatching(/^t\.bats: broken: .*why/)]);
  });
});

describe('a pattern', () => {
  it.each([
    ['test/*.sh', 'test/a.sh', true],
    ['test/*.sh', 'test/b/a.sh', false],
    ['test/**/*.sh', 'test/a.sh', true],
    ['test/**/*.sh', 'test/b/c/a.sh', true],
    ['**/*.bats', 'a.bats', true],
    ['test/{a,b}.sh', 'test/b.sh', true],
    ['test/[ab]?.sh', 'test/ax.sh', true],
    ['test/[!ab]x.sh', 'test/ax.sh', false],
    ['test/a.sh', 'test/axsh', false],
    ['test/(a|b)+.sh', 'test/(a|b)+.sh', true],
  ])('%s on %s: %s', (glob, file, fits) => {
    expect(globExpression(glob).test(file)).toBe(fits);
  });
});

describe('what bats said', () => {
  it('is never a pass without its exit code, nor without a test', () => {
    expect(batsFindings('t', { exitCode: 1, logTail: ['syntax error'] }).failures).toEqual([
      't: ended with exit code 1: syntax error',
    ]);
    expect(batsFindings('t', { exitCode: 0, logTail: ['1..0'] }).failures).toEqual(['t: has no tests']);
    expect(batsFindings('t', { exitCode: 0, logTail: ['ok 79 x', 'ok 80 y'] })).toEqual({
      passedCount: 80,
      failures: [],
    });
  });
});
