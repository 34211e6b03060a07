/** package.json */
import { z } from 'zod';
import type { Draft, DraftStep } from './draft.ts';
import type { Folder } from './folder.ts';

const texts = z.record(z.string(), z.string()).catch({});
const packageFile = z.object({
  main: z.string().optional().catch(undefined),
  scripts: texts.default({}),
  dependencies: texts.default({}),
  devDependencies: texts.default({}),
});
type PackageFile = z.output<typeof packageFile>;

/** A start script that needs no shell and no npm in front: signals reach the program itself. */
const PLAIN_NODE = /^node (?:[\w./:@=-]+ ?)+$/;
const ENTRY_FILES = [
  'server.js',
  'index.js',
  'app.js',
  'main.js',
  'server.mjs',
  'index.mjs',
  'src/index.js',
  'src/server.js',
];

export function detectNode(folder: Folder): Draft | undefined {
  const text = folder.texts.get('package.json');
  const parsed = text === undefined ? undefined : readPackage(text);
  if (parsed === undefined) return undefined;
  const notes: string[] = [];
  const run = runCommand(parsed, folder, notes);
  const framework = ['next', 'nuxt', 'fastify', 'express', 'koa', 'hono'].find(
    (name) => name in parsed.dependencies,
  );
  return {
    what: framework === undefined ? 'Node (package.json)' : `Node with ${framework} (package.json)`,
    kind: 'bundle',
    build: buildSteps(parsed, folder, notes),
    run,
    processes: {},
    values: { NODE_ENV: 'production' },
    notes,
  };
}

function readPackage(text: string): PackageFile | undefined {
  try {
    return packageFile.safeParse(JSON.parse(text)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function runCommand({ scripts, dependencies, main }: PackageFile, folder: Folder, notes: string[]): string {
  const start = scripts.start?.trim() ?? '';
  if (PLAIN_NODE.test(start)) return start;
  if ('next' in dependencies) return 'node_modules/.bin/next start --port $PORT';
  if (start !== '') {
    notes.push(
      `"npm start" stands between Kiln and "${start}": start that directly, so that signals reach it.`,
    );
    return 'npm start';
  }
  const entry = [main, ...ENTRY_FILES].find(
    (file) => file !== undefined && folder.entries.has(file.replace(/^\.\//, '')),
  );
  if (entry !== undefined) return `node ${entry}`;
  notes.push('No start script, no main: correct image.run.');
  return 'node server.js';
}

function buildSteps(
  { scripts, dependencies, devDependencies }: PackageFile,
  folder: Folder,
  notes: string[],
): readonly DraftStep[] {
  const builds = scripts.build !== undefined;
  const needsInstall = [dependencies, devDependencies].some((map) => Object.keys(map).length > 0);
  const install = needsInstall ? [installStep(folder, !builds, notes)] : [];
  if (!builds) return Object.keys(dependencies).length > 0 ? install : [];
  const prune =
    needsInstall && folder.entries.has('package-lock.json') && Object.keys(devDependencies).length > 0;
  return [
    ...install,
    { run: 'npm run build' },
    ...(prune ? [{ run: 'npm prune --omit=dev', why: 'what only the build needed' }] : []),
  ];
}

/** Kiln knows the install commands and what they read. */
export const INSTALL_WHY = 'cached by Kiln until what it reads changes';

export function installStep({ entries }: Folder, production: boolean, notes: string[]): DraftStep {
  const why = INSTALL_WHY;
  if (entries.has('pnpm-lock.yaml')) {
    return { run: `pnpm install --frozen-lockfile${production ? ' --prod' : ''}`, why };
  }
  if (entries.has('yarn.lock')) {
    if (entries.has('.yarnrc.yml')) return { run: 'yarn install --immutable', why };
    return { run: `yarn install --frozen-lockfile${production ? ' --production' : ''}`, why };
  }
  if (entries.has('bun.lock') || entries.has('bun.lockb')) {
    return { run: `bun install --frozen-lockfile${production ? ' --production' : ''}`, why };
  }
  if (entries.has('package-lock.json') || entries.has('npm-shrinkwrap.json')) {
    return { run: `npm ci${production ? ' --omit=dev' : ''}`, why };
  }
  notes.push(
    'There is no lock file: run "npm install" and commit package-lock.json, so that every bake is the same.',
  );
  return { run: `npm install${production ? ' --omit=dev' : ''}` };
}
