import { expect, test } from 'vitest';
import { baseImages, pinned } from './dockerfile.ts';
import { ignoreRules } from './ignore-rules.ts';
import { checkMounts, hasMounts } from './mounts.ts';

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

test('images that files are taken from are inputs too; what a here-document says is none; no frontend is fetched', () => {
  const text = [
    '# syntax=docker/dockerfile:1',
    'FROM base:1 AS build',
    'COPY --chown=1:1 --from=tools:2 /a /b',
    'COPY --from=build /a --from=not:3',
    'RUN --mount=type=bind,from=caches:4,target=/c \\',
    '    --mount=from=0 true --mount=from=not:5',
    'RUN <<END',
    'FROM not:6',
    'END',
    'COPY <<A <<"B" /x/',
    'COPY --from=not:7 / /',
    'A',
    'B',
    'FROM build',
  ].join('\n');
  expect(baseImages(text, {})).toEqual(['base:1', 'tools:2', 'caches:4']);
  const lines = pinned(text, {}, new Map([['caches:4', 'pin:4']])).split('\n');
  expect(lines[0]).not.toContain('=');
  expect(lines[4]).toBe('RUN --mount=type=bind,from=pin:4,target=/c \\');
  expect(lines.slice(5, 14)).toEqual(text.split('\n').slice(5));
});

const GRANTED = { dockerfile: 'Dockerfile', args: {}, secrets: ['npm'], ssh: true } as const;

test.each([
  ['RUN --mount=type=secret,id=npm npm ci', undefined],
  ['RUN --mount=type=secret,target=/run/npm npm ci', undefined],
  ['RUN --mount=type=cache,target=/root/.npm npm ci', undefined],
  ['RUN --mount=type=ssh git clone x', undefined],
  ['RUN --mount=type=secret,id=other,required=false npm ci', undefined],
  ['RUN --network=none \\\n  --mount=type=secret,id=other true', 'Dockerfile:3 asks for the secret "other"'],
  ['RUN --mount=id=key,type=ssh git clone x', 'Dockerfile:2 asks for the SSH agent "key"'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the Dockerfile's own
  ['RUN --mount=type=secret,id=${NAME} true', 'Dockerfile:2 asks for a secret without a plain id'],
])('%s: what kiln.yaml grants is had, all else refused: %s', (line, refusal) => {
  const text = `FROM scratch\n${line}\n`;
  expect(hasMounts(text)).toBe(true);
  const check = (builder: 'classic' | 'buildkit') => () =>
    checkMounts(text, { file: 'Dockerfile', container: GRANTED, builder });
  if (refusal === undefined) expect(check('buildkit')).not.toThrow();
  else expect(check('buildkit')).toThrow(refusal);
  expect(check('classic')).toThrow(/Dockerfile:[23] asks for a mount, which only BuildKit has/);
});

test.each(['RUN echo --mount=type=secret', '# RUN --mount=type=secret,id=npm npm ci', 'COPY --chown=1 a b'])(
  '%s: no mount',
  (line) => expect(hasMounts(`FROM scratch\n${line}\n`)).toBe(false),
);

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
