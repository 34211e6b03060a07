/**
 * A server of pipelines alone, to be killed: it carries executions on until it is. Its tasks write what they do into a
 * ledger of their own. Arguments: the store's settings as JSON, and the ledger's file.
 */
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { Executor } from '../../src/pipeline/executor.ts';
import type { Task } from '../../src/pipeline/task.ts';
import { open, systemClock } from '../contracts/store-subjects.ts';

const [settings = '', file = ''] = process.argv.slice(2);
const store = await open(JSON.parse(settings));
const ledger = new DatabaseSync(file, { timeout: 10_000 });
// Processes are killed, not the machine: what is written needs no fsync.
ledger.exec('pragma journal_mode = wal; pragma synchronous = off');
ledger.exec('create table if not exists asked (key text, state text, execution text, kind text)');
ledger.exec('create table if not exists effects (key text primary key, state text, execution text)');
const asked = ledger.prepare('insert into asked values (?, ?, ?, ?)');
const effect = ledger.prepare('insert into effects values (?, ?, ?) on conflict do nothing');

function fixture(name: string, repeat: Task['repeat']): Task {
  return {
    name,
    does: 'something that is written down',
    repeat,
    takesPlace: false,
    async run({ key, execution, request }, signal) {
      asked.run(key, request.state, execution, name);
      await sleep(Math.random() * 70, undefined, { signal });
      // As a verb of Kiln: once per key, however often it is asked.
      effect.run(key, request.state, execution);
      await sleep(Math.random() * 70, undefined, { signal });
      return { key };
    },
  };
}

const tasks = new Map(
  [fixture('verb', 'same-key'), fixture('command', 'never')].map((task) => [task.name, task]),
);
const executor = new Executor({
  store: store.executions,
  events: store.events,
  clock: systemClock,
  log: { warn: (fields, message) => console.error(message, fields) },
  holder: `server:${process.pid}`,
  shares: store.engine === 'postgres',
  randomBytes,
  tasks,
  taskName: (resource) => resource,
  places: 1_000,
});
// As the holder of a state directory knows it: whoever held anything before has ended.
if (store.engine === 'sqlite') await store.executions.releaseAll('');
await executor.start();
writeSync(1, 'ready\n');
