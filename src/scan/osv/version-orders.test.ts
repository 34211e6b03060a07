import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareDebian, compareGem, comparePypi, compareSemver } from './version-orders.ts';

const sign = (n: number): number => Math.sign(n);

function expectAscending(versions: readonly string[], compare: (a: string, b: string) => number): void {
  for (const [i, a] of versions.entries()) {
    for (const [j, b] of versions.entries()) expect(sign(compare(a, b)), `${a} ${b}`).toBe(sign(i - j));
  }
}

const NO_DPKG = existsSync('/usr/bin/dpkg') ? undefined : 'needs dpkg: apt-get install dpkg';
if (NO_DPKG !== undefined && process.env.CI === 'true') throw new Error(NO_DPKG);

describe('versions are ordered', () => {
  it.skipIf(NO_DPKG !== undefined)('as dpkg orders them, whichever they are', () => {
    const part = fc
      .array(fc.constantFrom('0', '1', '9', '10', '007', '.', '~', '+', 'a', 'b', 'Z', 'rc', 'deb', '-'), {
        maxLength: 6,
      })
      .map((pieces) => pieces.join(''));
    const version = fc
      .tuple(
        fc.constantFrom('', '', '0:', '1:', '12:'),
        fc.nat(20),
        part,
        fc.constantFrom('', '-0', '-1', '-1~b'),
      )
      .map(([epoch, number, rest, revision]) => `${epoch}${number}${rest}${revision}`)
      // dpkg refuses an empty revision.
      .filter((text) => !text.endsWith('-'));
    // Some that are equal, though written otherwise.
    const same = version
      .filter((text) => !/[-:]/.test(text))
      .map((text): [string, string] => [text, `0:${text}-0`]);
    const pair = fc.oneof({ weight: 9, arbitrary: fc.tuple(version, version) }, same);
    const samples = fc.sample(pair, { numRuns: 400, seed: 7 });
    // One shell for all, which prints what dpkg says of each pair.
    const script =
      'while read a b; do if dpkg --compare-versions "$a" lt "$b"; then echo -1; elif dpkg --compare-versions "$a" eq "$b"; then echo 0; else echo 1; fi; done';
    const input = samples.map(([a, b]) => `${a} ${b}\n`).join('');
    const said = spawnSync('/bin/sh', ['-c', script], { input, encoding: 'utf8' });
    const answers = said.stdout.trim().split('\n').map(Number);
    expect(answers.length).toBe(samples.length);
    const mine = samples.map(([a, b]) => sign(compareDebian(a, b)));
    expect(samples.filter((_, index) => mine[index] !== answers[index])).toEqual([]);
    expect(new Set(answers)).toEqual(new Set([-1, 0, 1]));
  });

  it('by Semantic Versioning, as its item 11 lists them', () => {
    const listed =
      '0.9.9 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.2.0 1.10.0 2.0.0';
    expectAscending(listed.split(' '), compareSemver);
    expect(compareSemver('1.0.0+a', 'v1.0.0+b')).toBe(0);
  });

  it('by PEP 440, as its examples list them', () => {
    const listed =
      '1.dev0 1.0.dev456 1.0a1 1.0a2.dev456 1.0a12.dev456 1.0a12 1.0b1.dev456 1.0b2 1.0b2.post345.dev456 1.0b2.post345 1.0rc1.dev456 1.0rc1 1.0 1.0+abc.5 1.0+abc.7 1.0+5 1.0.post456.dev34 1.0.post456 1.0.15 1.1.dev1 1!0.1';
    expectAscending(listed.split(' '), comparePypi);
    for (const same of ['1.0.0', 'v1.0', '1.0-RC.1 1.0rc1', '1.0-1 1.0.post1']) {
      const [a = '', b = '1'] = same.split(' ');
      expect(comparePypi(a, b), same).toBe(0);
    }
  });

  it('as RubyGems orders them', () => {
    expectAscending('1.0.a.2 1.0.b1 1.0 1.0.1 1.2.0.rc1 1.2 1.10'.split(' '), compareGem);
    expect(compareGem('1.0', '1.0.0')).toBe(0);
  });

  it('consistently, whatever the texts are', () => {
    const any = fc.oneof(fc.string({ maxLength: 12 }), fc.stringMatching(/^[0-9a-z.~+:-]{0,12}$/));
    for (const compare of [compareSemver, compareDebian, comparePypi, compareGem]) {
      fc.assert(
        fc.property(any, any, (a, b) => {
          expect(sign(compare(a, b)) + sign(compare(b, a))).toBe(0);
          expect(compare(a, a)).toBe(0);
        }),
      );
    }
  });
});
