/**
 * A server of pipelines alone, to be killed: it carries executions on until it is. Its `promote` and `cmd` are Kiln's
 * own, on the store's catalogue and in real shells; the others write what they do into a ledger of their own. Every
 * task takes a while after it has done its work and before it says so. Argument: `PipelineServer` as JSON.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineClient } from '../../src/docker/engine-client.ts';
import { LocalArtifacts } from '../../src/pipeline/artifacts/local-artifacts.ts';
import { Checkout } from '../../src/pipeline/checkout/checkout.ts';
import { Git } from '../../src/pipeline/checkout/git.ts';
import { Mirrors } from '../../src/pipeline/checkout/mirrors.ts';
import { CommandSandbox } from '../../src/pipeline/commands/command-sandbox.ts';
import { Commands } from '../../src/pipeline/commands/commands.ts';
import { secretFolder } from '../../src/pipeline/commands/secret-folder.ts';
import { Services } from '../../src/pipeline/commands/services.ts';
import { Sources } from '../../src/pipeline/commands/source.ts';
import { Executor } from '../../src/pipeline/executor/executor.ts';
import { DiskTaskLogs } from '../../src/pipeline/logs/task-logs.ts';
import type { Task } from '../../src/pipeline/task.ts';
import type { TaskParts } from '../../src/pipeline/task-parts.ts';
import { cmd } from '../../src/pipeline/tasks/cmd.ts';
import { promote } from '../../src/pipeline/tasks/promote.ts';
import { type PipelineVerbsParts, pipelineVerbs } from '../../src/server/pipeline-verbs.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import type { StoreSettings } from '../../src/store/open.ts';
import { open } from '../contracts/store-subjects.ts';

export interface PipelineServer {
  readonly settings: StoreSettings;
  readonly ledger: string;
  /** What the commands of this server have: no other server's. */
  readonly state: string;
  /** What a task takes before and after its work, at most. */
  readonly paceMs: number;
}

const { settings, ledger: file, state, paceMs }: PipelineServer = JSON.parse(process.argv[2] ?? '');
const store = await open(settings);
const ledger = new DatabaseSync(file, { timeout: 10_000 });
// Processes are killed, not the machine: what is written needs no fsync.
ledger.exec('pragma journal_mode = wal; pragma synchronous = off');
ledger.exec('create table if not exists asked (key text, state text, execution text, kind text)');
ledger.exec('create table if not exists effects (key text primary key, state text, execution text)');
const asked = ledger.prepare('insert into asked values (?, ?, ?, ?)');
const effect = ledger.prepare('insert into effects values (?, ?, ?) on conflict do nothing');
const aWhile = (signal: AbortSignal) => sleep(Math.random() * paceMs, undefined, { signal });

function fixture(name: string, repeat: Task['repeat']): Task {
  return {
    name,
    does: 'something that is written down',
    repeat,
    takesPlace: false,
    async run({ key, execution, request }, signal) {
      asked.run(key, request.state, execution, name);
      await aWhile(signal);
      // As a verb of Kiln: once per key, however often it is asked.
      effect.run(key, request.state, execution);
      await aWhile(signal);
      return { key };
    },
  };
}

/** Done, and not said yet. */
function slowToAnswer(task: Task): Task {
  return {
    ...task,
    async run(call, signal) {
      asked.run(call.key, call.request.state, call.execution, task.name);
      const output = await task.run(call, signal);
      await aWhile(signal);
      return output;
    },
  };
}

const log = { warn: (fields: object, message: string) => console.error(message, fields) };
const searchPath = process.env.PATH ?? '/usr/bin:/bin';
const dockerSocket = path.join(state, 'no-engine.sock');
const git = new Git({ searchPath, home: state, network: {} });
const commands = new Commands({
  artifacts: new LocalArtifacts(path.join(state, 'pipelines/artifacts'), randomUUID),
  stateDirectory: state,
  searchPath,
  dockerSocket,
  sandbox: new CommandSandbox({
    stateDirectory: state,
    searchPath,
    home: homedir(),
    bwrap: ['/usr/bin/bwrap', '/usr/local/bin/bwrap'].find((program) => existsSync(program)),
    dockerSocket,
    warn: console.error,
  }),
  secrets: secretFolder(path.join(state, 'secrets')),
  logs: new DiskTaskLogs(path.join(state, 'logs'), systemClock, log),
  sources: new Sources(new Checkout(new Mirrors(git, path.join(state, 'pipelines/mirrors')))),
  services: new Services(new EngineClient(dockerSocket), state),
  clock: systemClock,
  newId: randomUUID,
});
await commands.sweep();
// Of all verbs only promoting is asked for, which needs nothing but these two.
const verbs = pipelineVerbs({ store, clock: systemClock } as unknown as PipelineVerbsParts);
const parts = { verbs, runCommand: commands.run.bind(commands) } as unknown as TaskParts;
const tasks = [
  fixture('verb', 'same-key'),
  fixture('command', 'never'),
  slowToAnswer(promote.with(parts)),
  slowToAnswer(cmd.with(parts)),
];
const executor = new Executor({
  store: store.executions,
  events: store.events,
  clock: systemClock,
  log,
  holder: `server:${process.pid}`,
  shares: store.engine === 'postgres',
  randomBytes,
  tasks: new Map(tasks.map((task) => [task.name, task])),
  taskName: (resource) => resource,
  places: 8,
});
// As the holder of a state directory knows it: whoever held anything before has ended.
if (store.engine === 'sqlite') await store.executions.releaseAll('');
await executor.start();
writeSync(1, 'ready\n');
