import { expect, test } from 'vitest';
import { baseImages, pinned, refuseSessionMounts } from './dockerfile.ts';
import { ignoreRules } from './ignore-rules.ts';

const TEXT = [
  '# syntax comment',
  'ARG VERSION=24',
  'ARG FLAVOUR="slim"',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the Dockerfile's own
  'FROM --platform=linux/amd64 node:${VERSION}-$FLAVOUR AS build',
  'RUN one \\',
  '  # FROM not:this',
  '  && echo FROM nor:this',
  'FROM build AS test',
  'FROM scratch',
  'from runtime@golden',
  '',
].join('\n');

test('what a Dockerfile stands on: arguments filled in, stages and scratch left out', () => {
  expect(baseImages(TEXT, {})).toEqual(['node:24-slim', 'runtime@golden']);
  expect(baseImages(TEXT, { VERSION: '26' })).toEqual(['node:26-slim', 'runtime@golden']);
  expect(() => baseImages('RUN true\n', {})).toThrow('no FROM');
});

test('bases become ids, every stage gets the label, and all else stays as it was written', () => {
  const ids = new Map([
    ['node:24-slim', 'sha256:aa'],
    ['runtime@golden', 'sha256:bb'],
  ]);
  const lines = pinned(TEXT, {}, ids, { name: 'kiln.build', value: 'shop' }).split('\n');
  expect(lines).toContain('FROM --platform=linux/amd64 sha256:aa AS build');
  expect(lines).toContain('FROM build AS test');
  expect(lines).toContain('from sha256:bb');
  expect(lines.filter((line) => line === 'LABEL kiln.build=shop')).toHaveLength(4);
  const without = lines.filter((line) => !line.startsWith('LABEL') && !/^FROM --|^from /.test(line));
  expect(without.join('\n').trim()).toBe(
    TEXT.split('\n')
      .filter((line) => !/^FROM --|^from /.test(line))
      .join('\n')
      .trim(),
  );
});

test.each([
  ['RUN --mount=type=secret,id=npm npm ci', true],
  ['RUN --mount=id=key,type=ssh git clone x', true],
  ['RUN --network=none \\\n  --mount=type=secret,id=a true', true],
  ['RUN --mount=type=cache,target=/root/.npm npm ci', false],
  ['RUN echo --mount of no type=secret', false],
  ['# RUN --mount=type=secret,id=npm npm ci', false],
])('%s: refused %s', (line, refused) => {
  const refuse = () => refuseSessionMounts(`FROM scratch\n${line}\n`);
  if (refused) expect(refuse).toThrow('BuildKit session');
  else expect(refuse).not.toThrow();
});

test.each([
  ['node_modules', 'node_modules/a/b', true],
  ['node_modules', 'packages/a/node_modules', false],
  ['**/node_modules', 'packages/a/node_modules/b', true],
  ['*.log', 'a.log', true],
  ['*.log', 'logs/a.log', false],
  ['**/*.log', 'logs/a.log', true],
  ['/dist/', 'dist/x', true],
  ['# a.log', 'a.log', false],
  ['*\n!keep', 'keep/x', false],
  ['*\n!keep\nkeep/not', 'keep/not', true],
  ['a?c', 'abc', true],
  ['[ab].txt', 'b.txt', true],
  ['a.c', 'abc', false],
  ['', '.git/HEAD', true],
  ['!.git', '.git/HEAD', false],
])('.dockerignore %j ignores %s: %s', (text, file, ignored) => {
  expect(ignoreRules(text).ignores(file)).toBe(ignored);
});
