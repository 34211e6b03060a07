/** The server's entry: reads the settings, starts the parts, and stops them when asked. */
import { enableCompileCache } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import packageJson from '../package.json' with { type: 'json' };
import { exitCodeOf } from './api/failures.ts';
import { asKilnError } from './domain/errors.ts';
import type { Entries } from './server/building.ts';
import { startServer } from './server.ts';
import { loadSettings } from './settings.ts';

enableCompileCache();
// Of this process alone: the baker and what else it starts allocate in many threads.
delete process.env.MALLOC_ARENA_MAX;

const STOP_LIMIT_MS = 20_000;

/** Sources and builds name their files differently; a build's folder is its name. */
function entries(): Entries {
  const here = fileURLToPath(import.meta.url);
  const folder = path.dirname(here);
  const fromSource = here.endsWith('.ts');
  const file = (source: string, built: string): string => path.join(folder, fromSource ? source : built);
  return {
    node: process.execPath,
    router: file('routing/built-in/main.ts', 'router.js'),
    baker: file('bakery/bundle/baker-main.ts', 'baker.js'),
    bakeWorker: file('bakery/bundle/worker.ts', 'bake-worker.js'),
    storeReader: file('store/sqlite/reader.ts', 'store-reader.js'),
    itemThread: file('pipeline/items/item-thread.ts', 'item-thread.js'),
    version: packageJson.version,
    page: fromSource ? path.join(folder, '../dist/current/page') : path.join(folder, 'page'),
    build: fromSource ? 'source' : path.basename(folder),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      state: { type: 'string' },
      listen: { type: 'string' },
      router: { type: 'string' },
      'router-listen': { type: 'string' },
      'take-over': { type: 'boolean' },
    },
  });
  const flags = {
    state: values.state,
    listen: values.listen,
    router: values.router,
    routerListen: values['router-listen'],
    takeOver: values['take-over'],
  };
  const settings = loadSettings(flags, process.env);
  const log = pino({ level: settings.logLevel }, pino.destination({ dest: 1, sync: true }));
  const server = await startServer(settings, entries(), log);
  log.info({ url: server.url, state: settings.stateDirectory, pid: process.pid }, 'kiln is ready');

  const signalled = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve(signal));
  });
  const why = await Promise.race([signalled, server.asked.then(() => 'asked over the API')]);
  log.info({ why }, 'stopping; instances and router go on unless they were stopped');
  setTimeout(() => {
    log.error('closing took too long; leaving');
    process.exit(1);
  }, STOP_LIMIT_MS).unref();
  await server.close();
  process.exit(0);
}

main().catch((thrown: unknown) => {
  const error = asKilnError(thrown);
  process.stderr.write(`kiln: ${error.message} [${error.code}]\n`);
  for (const fault of error.faults) process.stderr.write(`  ${fault.path}: ${fault.message}\n`);
  if (error.next !== undefined) process.stderr.write(`  ${error.next}\n`);
  if (error.code === 'internal' && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`);
  process.exit(exitCodeOf(error));
});
