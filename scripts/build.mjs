// Bundles every entry into dist/<build>/ and points the link dist/current at it in one step. A running server
// keeps the build it began with: its folder stays until three newer ones exist.
import { mkdir, mkdtemp, readdir, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const BUILDS_KEPT = 3;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const dist = path.join(root, 'dist');

await mkdir(dist, { recursive: true });
const startedAt = new Date();
const build = await mkdtemp(path.join(dist, `${Date.now()}-`));
const bundle = await rolldown({
  cwd: root,
  input: {
    cli: 'src/cli/main.ts',
    server: 'src/main.ts',
    router: 'src/routing/built-in/main.ts',
    'bake-worker': 'src/bakery/bundle/worker.ts',
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
await writeFile(path.join(build, 'package.json'), '{"type":"module"}\n');

const link = path.join(dist, `.current-${process.pid}`);
await symlink(path.basename(build), link);
await rename(link, path.join(dist, 'current'));
// Stamped with the time the build began: what changed while it ran is built next time.
await writeFile(path.join(dist, '.built'), '');
await utimes(path.join(dist, '.built'), startedAt, startedAt);
await removeOldBuilds();

async function removeOldBuilds() {
  const builds = (await readdir(dist)).filter((name) => /^\d+-/.test(name)).sort();
  for (const name of builds.slice(0, -BUILDS_KEPT)) {
    const folder = path.join(dist, name);
    const ageMs = Date.now() - (await stat(folder)).mtimeMs;
    if (ageMs > 60_000) await rm(folder, { recursive: true, force: true });
  }
}
