/**
 * A server that dies when it is told to: the real one, with its points counted. Over its IPC channel it is armed with
 * `{at, layer, moment}` and disarmed by `disarm`, which it answers with the number of points passed.
 *
 * Usage: fork('crash-server.ts', [POINTS_FILE]), with the environment of `kiln serve`.
 */
import { enableCompileCache } from 'node:module';
import path from 'node:path';
import { pino } from 'pino';
import { startServer } from '../../src/server.ts';
import { loadSettings } from '../../src/settings.ts';
import { type Arming, counted, countedParts, countFileChanges, Points } from './crash-points.ts';

enableCompileCache();

const SOURCES = path.resolve(import.meta.dirname, '../../src');
const settings = loadSettings({}, process.env);
const points = new Points(process.argv[2] ?? '/dev/null');
countFileChanges(settings.stateDirectory, points);

process.on('message', (message: Arming | 'disarm') => {
  if (message !== 'disarm') points.arm(message);
  // A death that is due comes first.
  const answer = (): unknown => process.send?.({ passed: message === 'disarm' ? points.disarm() : 0 });
  setTimeout(answer, message === 'disarm' ? 10 : 0);
});
// Whoever started it has gone: nobody would end it.
process.on('disconnect', () => process.exit(1));

const log = pino({ level: settings.logLevel }, pino.destination({ dest: 1, sync: true }));
const entries = {
  node: process.execPath,
  router: path.join(SOURCES, 'routing/built-in/main.ts'),
  bakeWorker: path.join(SOURCES, 'bakery/bundle/worker.ts'),
  version: '0.0.0',
  build: 'source',
};
const server = await startServer(settings, entries, log, {
  store: (store) => countedParts(store, 'store', points),
  target: (target) => counted(target, 'target', points),
  router: (router) => counted(router, 'router', points),
});
process.send?.({ passed: 0 });
await server.asked;
await server.close();
process.exit(0);
