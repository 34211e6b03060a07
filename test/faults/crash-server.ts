/**
 * A server that dies when it is told to: the real one, with its points counted. Over its IPC channel it is armed with
 * `{at, layer, moment}` and disarmed by `disarm`, which it answers with the number of points passed.
 *
 * Bundled together with the entries of the router and the bake worker, which are then beside it: it starts in half
 * the time, and it starts often.
 *
 * Usage: fork('server.js', [POINTS_FILE]), with the environment of `kiln serve`.
 */
import { enableCompileCache } from 'node:module';
import path from 'node:path';
import { pino } from 'pino';
import { startServer } from '../../src/server.ts';
import { loadSettings } from '../../src/settings.ts';
import { type Arming, counted, countedParts, countFileChanges, Points } from './crash-points.ts';

const here = import.meta.dirname;
enableCompileCache(path.join(here, 'compile-cache'));

const settings = loadSettings({}, process.env);
const points = new Points(process.argv[2] ?? '/dev/null');
countFileChanges(settings.stateDirectory, points, 'files');

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
  router: path.join(here, 'router.js'),
  baker: path.join(here, 'baker.js'),
  bakeWorker: path.join(here, 'bake-worker.js'),
  storeReader: path.join(here, 'store-reader.js'),
  itemThread: path.join(here, 'item-thread.js'),
  page: path.join(here, 'page'),
  version: '0.0.0',
  build: 'crash',
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
