import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import type { ComponentDefinition } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import { parseComponent } from '../parse.ts';
import { readComponent } from '../read.ts';
import type { Folder } from './folder.ts';
import { tidyName } from './names.ts';
import { proposeComponent, proposeFor, writeComponentFile } from './propose.ts';

const folders: string[] = [];
afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
});

function folder(files: Record<string, string>, name = 'My_Shop'): Folder {
  const entries = Object.keys(files).flatMap((file) => [
    file,
    ...(file.includes('/') ? [`${path.dirname(file)}/`] : []),
  ]);
  return { name, entries: new Set(entries), texts: new Map(Object.entries(files)) };
}

/** What Kiln makes of the proposal: it must read without a fault. */
function proposed(files: Record<string, string>): ComponentDefinition & { notes: readonly string[] } {
  const { yaml, notes } = proposeFor(folder(files));
  return { ...parseComponent(yaml, 'kiln.yaml'), notes };
}

function runs(definition: ComponentDefinition): Record<string, string> {
  return Object.fromEntries(definition.defaults.processes.map(({ name, run }) => [name, run]));
}

function builds(definition: ComponentDefinition): readonly string[] {
  return definition.image.build.map(({ run }) => run);
}

const npm = (extra: object) => JSON.stringify({ name: 'x', ...extra });

test('Node: the start script itself, dependencies by the lock file', () => {
  const shop = proposed({
    'package.json': npm({
      scripts: { start: 'node --enable-source-maps server.js' },
      dependencies: { express: '5' },
    }),
    'package-lock.json': '{}',
  });
  expect(shop.component).toBe('my-shop');
  expect(builds(shop)).toEqual(['npm ci --omit=dev']);
  expect(runs(shop)).toEqual({ web: 'node --enable-source-maps server.js' });
  expect(shop.notes).toEqual([]);
});

test('Node: Next.js is built, then freed of what only the build needed', () => {
  const shop = proposed({
    'package.json': npm({
      scripts: { start: 'next start', build: 'next build' },
      dependencies: { next: '16' },
      devDependencies: { typescript: '7' },
    }),
    'package-lock.json': '{}',
  });
  expect(builds(shop)).toEqual(['npm ci', 'npm run build', 'npm prune --omit=dev']);
  expect(runs(shop)).toEqual({ web: 'node_modules/.bin/next start --port $PORT' });
});

test.each([
  ['yarn.lock', 'yarn install --frozen-lockfile --production'],
  ['pnpm-lock.yaml', 'pnpm install --frozen-lockfile --prod'],
  ['bun.lock', 'bun install --frozen-lockfile --production'],
])('Node: %s', (lock, step) => {
  const files = {
    'package.json': npm({ main: 'main.js', dependencies: { koa: '3' } }),
    'main.js': '',
    [lock]: '',
  };
  expect(builds(proposed(files))).toEqual([step]);
  expect(runs(proposed(files))).toEqual({ web: 'node main.js' });
});

test('Node: without dependencies nothing is installed; a guess is told', () => {
  const shop = proposed({ 'package.json': npm({ scripts: { start: 'FOO=1 node a.js && echo' } }) });
  expect(builds(shop)).toEqual([]);
  expect(runs(shop)).toEqual({ web: 'npm start' });
  expect(shop.notes.join()).toContain('signals');
});

test('Ruby: Rails with assets, migrations and sidekiq', () => {
  const shop = proposed({
    Gemfile: 'gem "rails", "~> 8.0"\ngem "puma"\ngem "propshaft"\ngem "sidekiq"\n',
    'Gemfile.lock': 'GEM\n  specs:\n    rails (8.0.1)\n',
    'db/migrate/1_x.rb': '',
    'package.json': npm({ dependencies: { esbuild: '1' } }),
    'package-lock.json': '{}',
  });
  expect(builds(shop)[0]).toContain('bundle install');
  expect(builds(shop)[1]).toBe('npm ci');
  expect(builds(shop)[2]).toContain('assets:precompile');
  expect(runs(shop)).toEqual({
    web: 'bundle exec puma --environment production --port $PORT',
    worker: 'bundle exec sidekiq',
  });
  expect(shop.defaults.migrate).toBe('bundle exec rails db:migrate');
  expect(shop.defaults.processes[0]?.health?.path).toBe('/up');
  expect(shop.defaults.processes[0]?.volumes).toEqual([{ name: 'tmp', path: 'tmp', shared: true }]);
});

test('Ruby: Sinatra by config.ru', () => {
  expect(runs(proposed({ Gemfile: "gem 'sinatra'", 'config.ru': '' })).web).toContain('rackup');
});

test('Python: Flask, FastAPI, Django and a plain script', () => {
  const flask = proposed({ 'requirements.txt': 'Flask==3\ngunicorn\n', 'wsgi.py': 'app = Flask(__name__)' });
  expect(runs(flask).web).toBe(
    'env PYTHONPATH=site-packages python3 -m gunicorn --bind 0.0.0.0:$PORT wsgi:app',
  );
  expect(builds(flask)).toEqual(['python3 -m pip install --target site-packages -r requirements.txt']);
  const fast = proposed({
    'pyproject.toml': 'dependencies = ["fastapi[standard]>=0.1"]',
    'api.py': 'app = FastAPI()',
  });
  expect(runs(fast).web).toContain('uvicorn api:app');
  const django = proposed({
    'requirements.txt': 'django\ngunicorn',
    'manage.py': 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")',
  });
  expect(runs(django).web).toContain('shop.wsgi');
  expect(django.defaults.migrate).toContain('manage.py migrate');
  expect(runs(proposed({ 'requirements.txt': '# none\n', 'app.py': '' })).web).toContain('python3 app.py');
});

test('Go: a program at the top, or under cmd', () => {
  const top = proposed({ 'go.mod': 'module example.com/me/shop/v2\n', 'main.go': 'package main\n' });
  expect(builds(top)).toEqual(['env CGO_ENABLED=0 go build -trimpath -o bin/shop .']);
  expect(runs(top)).toEqual({ web: './bin/shop' });
  const below = proposed({ 'go.mod': 'module x\n', 'cmd/api/': '' });
  expect(builds(below)).toEqual(['env CGO_ENABLED=0 go build -trimpath -o bin/api ./cmd/api']);
});

test('Procfile: processes and the release step stand over what was found', () => {
  const shop = proposed({
    'package.json': npm({ main: 'index.js' }),
    Procfile: 'web: node web.js --tag "a: b"\nmail_worker: node mail.js\nrelease: node migrate.js\n',
  });
  expect(runs(shop)).toEqual({ web: 'node web.js --tag "a: b"', 'mail-worker': 'node mail.js' });
  expect(shop.defaults.migrate).toBe('node migrate.js');
  const workers = proposed({ Procfile: 'clock: ./tick, [x] {y} # z' });
  expect(runs(workers)).toEqual({ clock: './tick, [x] {y} # z' });
  expect(workers.defaults.routes).toEqual([]);
});

test('Dockerfile: a container where nothing else is known, a note where something is', () => {
  const image = proposed({ Dockerfile: 'FROM x\nEXPOSE 3000/tcp\n' });
  expect(image.image.kind).toBe('container');
  expect(image.defaults.processes[0]?.port).toBe(3000);
  const both = proposed({ Dockerfile: 'FROM x', 'go.mod': 'module x', 'main.go': 'package main' });
  expect(both.image.kind).toBe('bundle');
  expect(both.notes.join()).toContain('Dockerfile');
});

test('static pages', () => {
  expect(runs(proposed({ 'public/index.html': '' })).web).toContain('--directory public $PORT');
});

test('nothing to go by is an error that says what would help', () => {
  expect(() => proposeFor(folder({ 'README.md': '' }))).toThrow(KilnError);
});

test('any contents of the known files give a valid proposal, or a KilnError', () => {
  const known = [
    'package.json',
    'Gemfile',
    'requirements.txt',
    'pyproject.toml',
    'go.mod',
    'Procfile',
    'Dockerfile',
  ];
  const content = fc.oneof(
    fc.string(),
    fc.json(),
    fc.string({ unit: 'binary' }),
    fc
      .record({ scripts: fc.dictionary(fc.constantFrom('start', 'build'), fc.string()), main: fc.string() })
      .map((value) => JSON.stringify(value)),
    fc.string().map((command) => `web: ${command}\nother: ${command}`),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...known), content), fc.string(), (files, name) => {
      let proposal: ReturnType<typeof proposeFor>;
      try {
        proposal = proposeFor(folder(files, name));
      } catch (error) {
        expect(error).toBeInstanceOf(KilnError);
        return;
      }
      parseComponent(proposal.yaml, 'kiln.yaml');
    }),
    { numRuns: 500 },
  );
});

test('names are tidied', () => {
  expect(['My_Shop', '42nd street!', '---', 'ünï'].map(tidyName)).toEqual([
    'my-shop',
    'nd-street',
    'app',
    'n',
  ]);
});

test('a real folder: read, written once, never overwritten', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'kiln-init-'));
  folders.push(directory);
  await mkdir(path.join(directory, 'src'));
  await writeFile(path.join(directory, 'package.json'), npm({ dependencies: { express: '5' } }));
  await writeFile(path.join(directory, 'src', 'index.js'), '');
  const { yaml, what } = await proposeComponent(directory);
  expect(what).toContain('express');
  expect(yaml).toMatch(/^# yaml-language-server: \$schema=\S*schema\/kiln\.schema\.json\n/);
  const file = await writeComponentFile(directory, yaml);
  const { definition } = await readComponent(directory);
  expect(runs(definition)).toEqual({ web: 'node src/index.js' });
  await expect(writeComponentFile(directory, 'x')).rejects.toMatchObject({ code: 'input.conflict' });
  expect(await readFile(file, 'utf8')).toBe(yaml);
  await expect(proposeComponent(path.join(directory, 'nowhere'))).rejects.toMatchObject({
    code: 'input.invalid',
  });
});
