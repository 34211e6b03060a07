import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matcher, Selection } from './selection.ts';

function selection(include: string[] = [], exclude: string[] = [], made: string[] = []): Selection {
  return new Selection({ include, exclude, made, keepLitter: false });
}

/** Walks as a scan does. */
function inSource(rules: Selection, file: string): boolean {
  let above = { inDependencies: false, inLitter: false };
  const segments = file.split('/');
  for (const [index, name] of segments.entries()) {
    const standing = rules.standing(segments.slice(0, index + 1).join('/'), name, above);
    if (standing === 'out') return false;
    if (index === segments.length - 1) return standing === 'in';
    above = {
      inDependencies: above.inDependencies || name === 'node_modules',
      inLitter: standing === 'litter',
    };
  }
  return false;
}

describe('globs', () => {
  it.each([
    ['src', 'src/a/b.js', true],
    ['src/', 'src/a.js', true],
    ['./src', 'src', true],
    ['src', 'src2', false],
    ['src', 'lib/src', false],
    ['**/src', 'lib/src/a', true],
    ['**/src', 'src', true],
    ['*.js', 'a.js', true],
    ['*.js', 'lib/a.js', false],
    ['**/*.js', 'lib/deep/a.js', true],
    ['lib/**', 'lib/deep/a.js', true],
    ['lib/**/test', 'lib/test', true],
    ['a?c', 'abc', true],
    ['a?c', 'a/c', false],
    ['[a-c].txt', 'b.txt', true],
    ['[!a-c].txt', 'b.txt', false],
    ['[!a-c].txt', '/.txt', false],
    ['*.{js,ts}', 'a.ts', true],
    ['*.{js,ts}', 'a.rb', false],
    ['a.b', 'axb', false],
    ['\\*', '*', true],
    ['\\*', 'x', false],
    ['a(b)+$', 'a(b)+$', true],
    ['😀?', '😀😀', true],
  ])('%s and %s: %s', (glob, file, expected) => {
    expect(matcher([glob])(file)).toBe(expected);
  });

  it('never fail strangely: any text is a glob, or refused with input.invalid', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (glob, file) => {
        try {
          matcher([glob])(file);
        } catch (error) {
          expect(error).toMatchObject({ code: 'input.invalid' });
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('match the very path when they hold nothing special', () => {
    const plain = fc
      .stringMatching(/^[\w.+()$^|-]+(\/[\w.+()$^|-]+){0,3}$/)
      .filter((text) => !/^\.+(\/|$)/.test(text));
    fc.assert(fc.property(plain, (file) => matcher([file])(file) && matcher([file])(`${file}/below`)));
  });
});

describe('the default excludes', () => {
  it.each([
    '.git/HEAD',
    'packages/a/.git/HEAD',
    'server.log',
    'log/x',
    'tmp/x',
    '.DS_Store',
    'lib/__pycache__/x.pyc',
    '.env',
    '.env.production.local',
    'node_modules/.cache/x',
    'node_modules/a/.git/HEAD',
  ])('leave out %s', (file) => expect(inSource(selection(), file)).toBe(false));

  it.each([
    'lib/tmp/x',
    'node_modules/tmp/index.js',
    'node_modules/log/x.log',
    '.npmrc',
    '.env.example',
    'catalog',
  ])('keep %s', (file) => expect(inSource(selection(), file)).toBe(true));

  it('are taken back by ! in exclude, but for version control', () => {
    const rules = selection([], ['!tmp/keep', '!**/important.log', '!.git']);
    expect(inSource(rules, 'tmp/keep/x')).toBe(true);
    expect(inSource(rules, 'tmp/other')).toBe(false);
    expect(inSource(rules, 'logs/important.log')).toBe(true);
    expect(inSource(rules, 'logs/other.txt')).toBe(false);
    expect(inSource(rules, '.git/HEAD')).toBe(false);
  });

  it('hold for what builds leave, by any part of the path', () => {
    expect(selection().isBuiltLitter('dist/.cache/x')).toBe(true);
    expect(selection().isBuiltLitter('node_modules/tmp/x.log')).toBe(false);
    expect(selection([], ['!tmp']).isBuiltLitter('tmp/x')).toBe(false);
  });
});

describe('include and exclude', () => {
  it('choose what the image holds', () => {
    const rules = selection(['dist', '*.json'], ['**/*.map', '!dist/keep.map']);
    expect(rules.inImage('dist/a.js')).toBe(true);
    expect(rules.inImage('package.json')).toBe(true);
    expect(rules.inImage('src/a.js')).toBe(false);
    expect(rules.inImage('dist/a.map')).toBe(false);
    expect(rules.inImage('dist/keep.map')).toBe(true);
  });

  it('do not touch the source, from which only what steps make is taken', () => {
    const rules = selection(['dist'], ['src'], ['node_modules']);
    expect(inSource(rules, 'src/a.js')).toBe(true);
    expect(inSource(rules, 'node_modules/a/index.js')).toBe(false);
  });
});
