/** The command line's entry. What is slow to load is loaded by the verb that needs it. */
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(import.meta.url);
const fromSource = here.endsWith('.ts');
// Beside the build it belongs to, so that it goes with it; a folder that cannot be written only makes starts slower.
if (!fromSource) enableCompileCache(fileURLToPath(new URL('./compile-cache', import.meta.url)));

// Whoever read the output has enough of it (`| head`): that is the end, and no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
}

const { runCommandLine } = await import('./program.ts');
process.exitCode = await runCommandLine({
  args: process.argv.slice(2),
  env: process.env,
  serverEntry: fileURLToPath(new URL(fromSource ? '../main.ts' : './server.js', import.meta.url)),
  // Two folders up from the source as from a build.
  packageFile: fileURLToPath(new URL('../../package.json', import.meta.url)),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  asking: { input: process.stdin, output: process.stderr },
});
