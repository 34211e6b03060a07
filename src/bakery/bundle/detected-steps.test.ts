import { describe, expect, it } from 'vitest';
import type { BuildStep } from '../../domain/component.ts';
import { madeBy, sightOf, splitSteps } from './detected-steps.ts';

const step = (run: string, more: Partial<BuildStep> = {}): BuildStep => ({ run, timeoutMs: 1000, ...more });
const facts = (packageJson: Record<string, unknown> = {}) => ({
  packageJson: new Map([['package.json', JSON.stringify(packageJson)]]),
});

describe('install commands', () => {
  it.each([
    ['npm ci', 'package-lock.json'],
    ['npm ci --omit=dev', 'package-lock.json'],
    ['npm  install --no-audit --no-fund', '.npmrc'],
    ['npm i', 'package.json'],
    ['yarn install --frozen-lockfile', 'yarn.lock'],
    ['yarn', 'yarn.lock'],
    ['pnpm install --frozen-lockfile --prod', 'pnpm-lock.yaml'],
    ['bundle install --jobs 4', 'Gemfile.lock'],
    ['bundle config set --local path vendor/bundle', 'Gemfile'],
    ['pip install -r requirements.txt', 'requirements*.txt'],
    ['pip3 install --target site-packages -r requirements/live.txt', 'requirements'],
    ['.venv/bin/pip install -r requirements.txt', 'requirements*.txt'],
    ['python3 -m venv .venv', '.python-version'],
    ['poetry install --no-root', 'poetry.lock'],
    ['go mod download', 'go.sum'],
    ['composer install --no-dev --no-scripts', 'composer.lock'],
  ])('%s reads %s', (run, input) => {
    const sight = sightOf(step(run), facts());
    expect(sight.kind === 'inputs' && sight.inputs).toContain(input);
  });

  it.each([
    'npm run build',
    'npm ci && npm run build',
    'npm install ./local-package',
    'npm ci; rm -rf x',
    'npm install left-pad',
    'pip install .',
    'pip install -e . -r $(cat x)',
    'poetry install',
    'make',
    'bundle install; ls',
  ])('%s sees everything', (run) => expect(sightOf(step(run), facts()).kind).toBe('everything'));

  it('see everything when package.json may read more than lock files', () => {
    const why = (manifest: Record<string, unknown>, run = 'npm ci') => sightOf(step(run), facts(manifest));
    expect(why({ scripts: { postinstall: 'patch-package' } })).toMatchObject({ kind: 'everything' });
    expect(why({ scripts: { postinstall: 'x' } }, 'npm ci --ignore-scripts').kind).toBe('inputs');
    expect(why({ dependencies: { mine: 'file:../mine' } }).kind).toBe('everything');
    expect(why({ scripts: { start: 'node .' } }).kind).toBe('inputs');
  });

  it('read the manifests of workspaces too', () => {
    const sight = sightOf(step('npm ci'), facts({ workspaces: ['packages/*'] }));
    expect(sight.kind === 'inputs' && sight.inputs).toContain('**/package.json');
  });

  it('say what they make, unless the author does', () => {
    expect(madeBy(step('npm ci'))).toContain('node_modules');
    expect(madeBy(step('npm ci', { outputs: ['x'] }))).toEqual(['x']);
    expect(madeBy(step('make'))).toEqual([]);
  });
});

describe('splitSteps', () => {
  const split = (run: string): string[] => splitSteps([step(run)]).map((each) => each.run);

  it('makes two steps of plain commands, so that the first can be cached', () => {
    expect(split('npm ci --omit=dev && npm run build')).toEqual(['npm ci --omit=dev', 'npm run build']);
    expect(split('npm ci\nnpm run build\n')).toEqual(['npm ci', 'npm run build']);
  });

  it.each([
    'cd app && npm ci',
    'export A=1 && make',
    'A=1 && make',
    'npm ci || true && make',
    "echo 'a && b'",
    'set -x && make',
    '(npm ci && make) > log',
  ])('leaves %s whole', (run) => expect(split(run)).toEqual([run]));

  it('leaves steps with inputs of their own alone', () => {
    const own = step('a && b', { inputs: ['x'] });
    expect(splitSteps([own])).toEqual([own]);
  });
});
