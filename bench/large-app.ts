/** A large app to bake: about 400 MB in 15,000 files, nearly all of them dependencies. */
import { execFile } from 'node:child_process';
import { appendFile, cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { say } from './result.ts';

const run = promisify(execFile);
const PACKAGES = ['next', 'react', 'react-dom', '@aws-sdk/client-s3', 'express', 'typescript'];

/** Installs the dependencies, or copies the folder `from` that has them. */
export async function makeLargeApp(app: string, from: string | undefined): Promise<void> {
  if (from === undefined) {
    await mkdir(app);
    await writeFile(path.join(app, 'package.json'), '{"name":"bench","version":"1.0.0"}\n');
    say(`installing ${PACKAGES.join(' ')}…`);
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...PACKAGES], { cwd: app });
  } else {
    await cp(from, app, { recursive: true, verbatimSymlinks: true });
  }
  await writeFile(
    path.join(app, 'server.js'),
    'require("node:http").createServer().listen(process.env.PORT);\n',
  );
  await writeFile(
    path.join(app, 'kiln.yaml'),
    'component: large\nimage: {kind: bundle}\nservice: {run: node server.js}\n',
  );
  await writeFile(path.join(app, '.dockerignore'), 'kiln.yaml\n');
}

let changes = 0;

/** In the app's own code, as somebody who works on it does. */
export async function changeOneLine(app: string): Promise<void> {
  changes += 1;
  await appendFile(path.join(app, 'server.js'), `// change ${changes} of ${Date.now()}\n`);
}
