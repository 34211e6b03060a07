import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXIT, FAILURES } from '../api/failures.ts';
import { ROUTES } from '../api/routes.ts';
import { ERROR_CODES } from '../domain/errors.ts';
import { actionNames, takenBy } from './action-options.ts';
import { runCommandLine } from './program.ts';
import { VERBS } from './verb-table.ts';
import { ACTIONS } from './verbs/pipeline.ts';

const root = path.resolve(import.meta.dirname, '../..');
const cliDocument = readFileSync(path.join(root, 'docs/cli.md'), 'utf8');
const apiDocument = readFileSync(path.join(root, 'docs/api.md'), 'utf8');

const SHOP = `component: shop
image: {kind: bundle, run: node server.js}
service: {port: 8080}
environments: {stage/uk: {}, live/uk: {}}
`;

async function kiln(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCommandLine({
    args,
    env: { HOME: '/nowhere' },
    serverEntry: '/nowhere/server.js',
    packageFile: path.join(root, 'package.json'),
    stdin: process.stdin,
    stdout: { write: (text) => out.push(text) > 0 },
    stderr: { write: (text) => err.push(text) > 0 },
  });
  return { code, out: out.join(''), err: err.join('') };
}

describe.each(VERBS)('kiln $name', (verb) => {
  test('has help with an example, and a module', async () => {
    const { code, out } = await kiln(verb.name, '--help');
    expect(code).toBe(EXIT.ok);
    expect(out).toContain('Example:');
    expect(out).toContain(verb.example);
    expect(out).toContain('--json');
    for (const line of verb.example.split('\n'))
      expect(line.trim()).toMatch(new RegExp(`^kiln ${verb.name}\\b`));
    expect(await verb.load()).toHaveProperty('run');
  });

  test('is documented: what it does, its options, its example, its JSON', () => {
    const section = cliDocument.split(/^### /m).find((one) => one.startsWith(`kiln ${verb.name}`));
    expect(section, `docs/cli.md has no section "kiln ${verb.name}"`).toBeDefined();
    for (const [flags] of verb.options) {
      const long = /--[\w-]+/.exec(flags)?.[0] ?? '';
      expect(section).toContain(`\`${long}`);
    }
    expect(section).toMatch(/```sh\n/);
    expect(section).toMatch(/\*\*JSON:\*\*/);
    if (verb.interrupt !== undefined) expect(section).toMatch(/\*\*Ctrl-C:\*\*/);
  });
});

test('every action of kiln pipeline is in its help, in the document, and near enough to be meant', async () => {
  const named = actionNames(VERBS.find(({ name }) => name === 'pipeline') ?? {});
  expect(named.toSorted()).toEqual(Object.keys(ACTIONS).toSorted());
  for (const name of named) expect(cliDocument, name).toContain(`kiln pipeline ${name}`);
  const { code, err } = await kiln('pipeline', 'strat', 'shop');
  expect([code, err]).toEqual([
    EXIT.usage,
    expect.stringContaining('Did you mean: kiln pipeline start shop'),
  ]);
  expect((await kiln('pipeline')).err).toContain('Choose run, list');
});

test('every option of kiln pipeline says whose it is, and is refused by the other actions', async () => {
  const verb = VERBS.find(({ name }) => name === 'pipeline');
  for (const [written, description] of verb?.options ?? [])
    expect(takenBy(verb ?? {}, description), written).toBeDefined();
  const { code, err } = await kiln('pipeline', 'why', 'exec-1', '--poll', '1m');
  expect([code, err]).toEqual([EXIT.usage, expect.stringContaining('it is an option of watch')]);
  expect((await kiln('pipeline', 'retry', 'exec-1', '--from', 'start')).code).toBe(EXIT.unavailable);
  expect((await kiln('pipeline', 'run', 'x://y', '--at', 'main')).code).toBe(EXIT.unavailable);
});

test('kiln pipeline check tells every fault and warning as FILE:LINE:COLUMN', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'kiln-check-'));
  const file = path.join(folder, 'pipeline.yaml');
  const text = (more: string) =>
    `StartAt: A\nStates:\n  A: {Type: Task, Resource: deploy, Parameters: {component: shop, ${more}}, End: true}\n`;
  try {
    writeFileSync(path.join(folder, 'kiln.yaml'), SHOP);
    writeFileSync(file, text('enviroment: 1'));
    const bad = await kiln('pipeline', 'check', folder);
    expect(bad).toMatchObject({ code: EXIT.usage, out: '' });
    expect(bad.err).toMatch(/pipeline\.yaml:3:37 .*"environment" is missing/);
    expect(bad.err).toMatch(
      /pipeline\.yaml:3:67 .*deploy takes no "enviroment"[\s\S]*did you mean "environment"/,
    );
    const { error } = JSON.parse((await kiln('pipeline', 'check', file, '--json')).err);
    expect(error.faults).toMatchObject([
      { location: { line: 3, column: 37 } },
      { didYouMean: 'environment' },
    ]);
    writeFileSync(file, text('environment: live/us'));
    const good = await kiln('pipeline', 'check', folder);
    expect(good.code).toBe(EXIT.ok);
    expect(good.out).toMatch(
      /pipeline\.yaml:3:80 .*did you mean "live\/uk"[\s\S]*nothing wrong in its one state/,
    );
    rmSync(file);
    expect((await kiln('pipeline', 'check', folder)).err).toContain('kiln pipeline eject');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('every exit code is documented', () => {
  for (const code of Object.values(EXIT)) expect(cliDocument).toMatch(new RegExp(`^\\| ${code} \\|`, 'm'));
});

test('every operation of the API is documented', () => {
  for (const [name, route] of Object.entries(ROUTES)) {
    expect(apiDocument, name).toContain(`\`${route.method.toUpperCase()} /api/v1${route.path}\``);
    expect(apiDocument).toContain(`\`${name}\``);
  }
});

test('every error code is documented with its status and exit code', () => {
  for (const code of ERROR_CODES) {
    const { httpStatus, exitCode } = FAILURES[code];
    expect(apiDocument).toContain(`| \`${code}\` | ${httpStatus} | ${exitCode} |`);
  }
});

test('a wrong verb, option or missing argument is a usage error with a hint', async () => {
  expect(await kiln('deplo')).toMatchObject({ code: EXIT.usage, err: expect.stringContaining('deploy') });
  expect((await kiln('deploy', 'storefront')).code).toBe(EXIT.usage);
  expect((await kiln('status', '--nonsense')).code).toBe(EXIT.usage);
});

test('no server is exit code 69, with what to do; as JSON on stderr with --json', async () => {
  const plain = await kiln('status');
  expect(plain).toMatchObject({
    code: EXIT.unavailable,
    out: '',
    err: expect.stringContaining('[server.unreachable]'),
  });
  expect(plain.err).toContain('kiln serve');
  const json = await kiln('status', '--json');
  expect(JSON.parse(json.err)).toMatchObject({ error: { code: 'server.unreachable' } });
});

test('bad names are refused before a server is asked', async () => {
  expect(await kiln('deploy', 'Bad', 'live/uk')).toMatchObject({
    code: EXIT.usage,
    err: expect.stringContaining('Bad'),
  });
  expect((await kiln('deploy', 'shop', 'live')).code).toBe(EXIT.usage);
  expect((await kiln('images', '--limit', 'many')).code).toBe(EXIT.usage);
});
