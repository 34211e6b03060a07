/** A server of pipelines alone, for bench/pipeline.ts. Arguments: the store's settings as JSON, and its own name. */
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { Executor } from '../src/pipeline/executor.ts';
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
// Both have begun before there is anything to do: what is measured is not their start.
await executor.start();
writeSync(1, 'ready\n');
