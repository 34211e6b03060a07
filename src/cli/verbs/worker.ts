/** Runs commands of pipelines on this machine for a server elsewhere, until it is interrupted. */
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import path from 'node:path';
import { EXIT } from '../../api/failures.ts';
import { EngineClient } from '../../docker/engine-client.ts';
import { KilnError } from '../../domain/errors.ts';
import { type ProcessLock, takeProcessLock } from '../../files/process-lock.ts';
import { LocalArtifacts } from '../../pipeline/artifacts/local-artifacts.ts';
import { Checkout } from '../../pipeline/checkout/checkout.ts';
import { Git } from '../../pipeline/checkout/git.ts';
import { Mirrors } from '../../pipeline/checkout/mirrors.ts';
import { CommandSandbox } from '../../pipeline/commands/command-sandbox.ts';
import { Services } from '../../pipeline/commands/services.ts';
import { Sources } from '../../pipeline/commands/source.ts';
import type { WorkerHost } from '../../pipeline/workers/job-run.ts';
import { Worker } from '../../pipeline/workers/worker.ts';
import { findProgram } from '../../processes/find-program.ts';
import { type Context, numberFlag, textFlag } from '../context.ts';
import { workerServer } from '../worker-server.ts';

/** Mirrors of repositories that no job has asked for: as the server keeps them by default. */
const MIRRORS_KEPT_MS = 30 * 24 * 3_600_000;
/** Proxies and certificates, for git. */
const NETWORK_VARIABLES = /^(https?_proxy|no_proxy|all_proxy|ssl_cert_file)$/i;

export async function run(context: Context): Promise<number> {
  const { env, flags, terminal } = context;
  const labels = (textFlag(flags, 'labels') ?? '').split(',').filter(Boolean);
  const name = textFlag(flags, 'name') ?? hostname();
  const tasks = textFlag(flags, 'activities')?.split(',').filter(Boolean) ?? [];
  if (tasks.length > 0) {
    const { runActivities } = await import('./worker-activities.ts');
    return runActivities(context, tasks, name);
  }
  const stateDirectory = path.join(context.stateDirectory, 'worker', name.replace(/[^\w.-]/g, '-'));
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const lock = lockOf(stateDirectory, name);
  const dockerSocket = env.KILN_DOCKER_SOCKET ?? '/var/run/docker.sock';
  const engine = new EngineClient(dockerSocket);
  const checkout = checkoutOf(context, stateDirectory);
  await checkout.mirrors.sweep([], context.now() - MIRRORS_KEPT_MS, context.signal);
  const slots = numberFlag(flags, 'slots', '--slots') ?? 2;
  const worker = new Worker({
    server: workerServer(context.client(), name, labels),
    host: hostOf(context, { stateDirectory, dockerSocket, engine, checkout }),
    slots,
    say: (text) => terminal.err(text),
  });
  const offers = labels.length === 0 ? 'without labels' : labels.join(', ');
  terminal.err(`worker ${name}: ${offers}; ${slots} at once, in ${stateDirectory}`);
  try {
    await untilStopped(context, worker);
    return EXIT.ok;
  } finally {
    engine.close();
    lock.close();
  }
}

/** The first Ctrl-C lets what runs come to its end; the second ends it with the process. */
async function untilStopped({ onInterrupt, terminal }: Context, worker: Worker): Promise<void> {
  const stop = new AbortController();
  const ended = worker.work(stop.signal);
  onInterrupt(async () => {
    stop.abort();
    const { running } = worker;
    if (running.length > 0) {
      terminal.err(`takes no more; waits for the end of ${running.join(', ')}`);
      terminal.err('Ctrl-C again ends it at once: then the server does not know how far it came');
    }
    await ended;
    return 'nothing runs here any more';
  }, EXIT.ok);
  await ended;
}

/** Two would end each other's commands. */
function lockOf(stateDirectory: string, name: string): ProcessLock {
  const lock = takeProcessLock(path.join(stateDirectory, 'lock.db'));
  if (lock !== undefined) return lock;
  throw new KilnError('state.in-use', `A worker ${name} runs on this machine already.`, {
    next: 'Give this one another --name, or that one more --slots.',
  });
}

interface HostParts {
  readonly stateDirectory: string;
  readonly dockerSocket: string;
  readonly engine: EngineClient;
  readonly checkout: Checkout;
}

function searchPathOf({ env }: Context): string {
  return env.PATH ?? '/usr/local/bin:/usr/bin:/bin';
}

function hostOf(context: Context, { stateDirectory, dockerSocket, engine, checkout }: HostParts): WorkerHost {
  const searchPath = searchPathOf(context);
  return {
    stateDirectory,
    searchPath,
    dockerSocket,
    sandbox: new CommandSandbox({
      stateDirectory,
      searchPath,
      home: homedir(),
      bwrap: findProgram('bwrap', searchPath),
      dockerSocket,
      warn: (why) => context.terminal.err(why),
    }),
    services: new Services(engine, stateDirectory),
    sources: new Sources(checkout),
    artifacts: new LocalArtifacts(path.join(stateDirectory, 'pipelines', 'artifacts'), randomUUID),
    clock: { now: context.now, monotonic: () => performance.now(), sleep: context.sleep },
    newId: randomUUID,
  };
}

/** With the keys and credential helpers of whoever runs the worker, as the server does it with its own. */
function checkoutOf(context: Context, stateDirectory: string): Checkout {
  const { env } = context;
  const network = Object.entries(env).flatMap(([name, value]) =>
    NETWORK_VARIABLES.test(name) && value !== undefined ? [[name, value]] : [],
  );
  const git = new Git({
    searchPath: searchPathOf(context),
    home: env.HOME ?? homedir(),
    network: Object.fromEntries(network),
  });
  return new Checkout(new Mirrors(git, path.join(stateDirectory, 'pipelines', 'mirrors')));
}
