// Bundles every entry into dist/<build>/ and points the link dist/current at it in one step. A running server
// keeps the build it began with: its folder stays until three newer ones exist.
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const BUILDS_KEPT = 3;
const LONGEST_RUN_MS = 90 * 24 * 3600 * 1000;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const dist = path.join(root, 'dist');

await mkdir(dist, { recursive: true });
const startedAt = new Date();
const build = await mkdtemp(path.join(dist, `${Date.now()}-`));
// Whoever may read the checkout may run it, not only who built it.
await chmod(build, 0o755);
const bundle = await rolldown({
  cwd: root,
  input: {
    cli: 'src/cli/main.ts',
    server: 'src/main.ts',
    router: 'src/routing/built-in/main.ts',
    baker: 'src/bakery/bundle/baker-main.ts',
    asl: 'src/pipeline/asl/run.ts',
    'bake-worker': 'src/bakery/bundle/worker.ts',
    'store-reader': 'src/store/sqlite/reader.ts',
    'item-thread': 'src/pipeline/items/item-thread.ts',
  },
  platform: 'node',
  external: [/^node:/, 'pg-native'],
  logLevel: 'warn',
});
await bundle.write({
  dir: build,
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name]-[hash].js',
});
await bundle.close();
await writeInAscii(build);
await buildPage(path.join(build, 'page'));
await writeFile(path.join(build, 'package.json'), '{"type":"module"}\n');

const link = path.join(dist, `.current-${process.pid}`);
await symlink(path.basename(build), link);
await rename(link, path.join(dist, 'current'));
// Stamped with the time the build began: what changed while it ran is built next time.
await writeFile(path.join(dist, '.built'), '');
await utimes(path.join(dist, '.built'), startedAt, startedAt);
await removeOldBuilds();

/** A single other character has V8 keep the whole of a file with two bytes for each. */
async function writeInAscii(directory) {
  for (const name of await readdir(directory, { recursive: true })) {
    if (!name.endsWith('.js')) continue;
    const file = path.join(directory, name);
    const code = await readFile(file, 'utf8');
    const escaped = code.replace(
      /[^\0-\x7f]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    if (escaped !== code) await writeFile(file, escaped);
  }
}

async function buildPage(directory) {
  const page = await rolldown({
    cwd: root,
    input: { app: 'web/main.tsx' },
    platform: 'browser',
    tsconfig: path.join(root, 'web/tsconfig.json'),
    logLevel: 'warn',
  });
  await page.write({
    dir: directory,
    format: 'esm',
    entryFileNames: '[name].js',
    minify: true,
    codeSplitting: false,
  });
  await page.close();
  for (const name of ['index.html', 'style.css', 'icon.svg']) {
    await copyFile(path.join(root, 'web', name), path.join(directory, name));
  }
}

/** A build that a process still runs from is kept, however old: it may load the rest of itself later. */
async function removeOldBuilds() {
  const builds = (await readdir(dist)).filter((name) => /^\d+-/.test(name)).sort();
  const running = await commandLines();
  for (const name of builds.slice(0, -BUILDS_KEPT)) {
    const folder = path.join(dist, name);
    // Another build may be removing it too.
    const modified = await stat(folder).catch(() => undefined);
    if (modified === undefined) continue;
    const ageMs = Date.now() - modified.mtimeMs;
    const isUsed = running.some((line) => line.includes(folder));
    if (ageMs > 60_000 && !(isUsed && ageMs < LONGEST_RUN_MS))
      await rm(folder, { recursive: true, force: true });
  }
}

async function commandLines() {
  const lines = [];
  for (const entry of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(entry)) continue;
    lines.push(await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => ''));
  }
  return lines;
}
