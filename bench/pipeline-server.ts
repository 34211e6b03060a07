/** A server of pipelines alone, for bench/pipeline.ts. Arguments: the store's settings as JSON, and its own name. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { Executor } from '../src/pipeline/executor/executor.ts';
import { systemClock } from '../src/server/system-clock.ts';
import { openStore } from '../src/store/open.ts';
import { answered } from './pipeline-task.ts';

const [settings = '', name = ''] = process.argv.slice(2);
const store = await openStore(JSON.parse(settings), { clock: systemClock });
const executor = new Executor({
  store: store.executions,
  events: store.events,
  clock: systemClock,
  log: { warn: (fields, message) => console.error(message, fields) },
  holder: name,
  shares: true,
  randomBytes,
  tasks: new Map([['answered', answered]]),
  taskName: (resource) => resource,
  places: 100,
});
process.once('SIGTERM', async () => {
  await executor.close();
  await store.close();
});
// Both begin at once: what is measured is not their start.
writeSync(1, 'ready\n');
await once(process.stdin, 'data');
await executor.start();
