/** Runs commands of pipelines on this machine for a server elsewhere, until it is interrupted. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EXIT } from '../../api/failures.ts';
import { EngineClient } from '../../docker/engine-client.ts';
import { asKilnError } from '../../domain/errors.ts';
import { LocalArtifacts } from '../../pipeline/artifacts/local-artifacts.ts';
import { Checkout } from '../../pipeline/checkout/checkout.ts';
import { Git } from '../../pipeline/checkout/git.ts';
import { Mirrors } from '../../pipeline/checkout/mirrors.ts';
import { CommandSandbox } from '../../pipeline/commands/command-sandbox.ts';
import { Services } from '../../pipeline/commands/services.ts';
import { Sources } from '../../pipeline/commands/source.ts';
import { TaskFailed } from '../../pipeline/task.ts';
import { type WorkerServer, work } from '../../pipeline/workers/worker.ts';
import type { Offer } from '../../pipeline/workers/worker-jobs.ts';
import { type Context, numberFlag, textFlag } from '../context.ts';

const WAIT_SECONDS = 20;
/** Proxies and certificates, for git. */
const NETWORK_VARIABLES = /^(https?_proxy|no_proxy|all_proxy|ssl_cert_file)$/i;

export async function run(context: Context): Promise<number> {
  const { env, flags, signal, terminal } = context;
  const labels = (textFlag(flags, 'labels') ?? '').split(',').filter(Boolean);
  const name = textFlag(flags, 'name') ?? hostname();
  const tasks = textFlag(flags, 'activities')?.split(',').filter(Boolean) ?? [];
  if (tasks.length > 0) {
    const { runActivities } = await import('./worker-activities.ts');
    return runActivities(context, tasks, name);
  }
  const searchPath = env.PATH ?? '/usr/local/bin:/usr/bin:/bin';
  const stateDirectory = path.join(context.stateDirectory, 'worker', name.replace(/[^\w.-]/g, '-'));
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const dockerSocket = env.KILN_DOCKER_SOCKET ?? '/var/run/docker.sock';
  const engine = new EngineClient(dockerSocket);
  context.onInterrupt(() => 'what runs here is ended', EXIT.ok);
  terminal.err(`worker ${name}: ${labels.length === 0 ? 'without labels' : labels.join(', ')}`);
  await work(
    {
      server: serverOf(context, name, labels),
      host: {
        stateDirectory,
        searchPath,
        dockerSocket,
        sandbox: new CommandSandbox({
          stateDirectory,
          searchPath,
          home: homedir(),
          bwrap: searchPath
            .split(':')
            .map((folder) => path.join(folder, 'bwrap'))
            .find((file) => path.isAbsolute(file) && existsSync(file)),
          dockerSocket,
          warn: (why) => terminal.err(why),
        }),
        services: new Services(engine, stateDirectory),
        sources: new Sources(checkoutOf(context, searchPath, stateDirectory)),
        artifacts: new LocalArtifacts(path.join(stateDirectory, 'pipelines', 'artifacts'), randomUUID),
        clock: { now: context.now, monotonic: () => performance.now(), sleep: context.sleep },
        newId: randomUUID,
      },
      slots: numberFlag(flags, 'slots', '--slots') ?? 2,
      say: (text) => terminal.err(text),
    },
    signal,
  );
  engine.close();
  return EXIT.ok;
}

/** With the keys and credential helpers of whoever runs the worker, as the server does it with its own. */
function checkoutOf({ env }: Context, searchPath: string, stateDirectory: string): Checkout {
  const network = Object.entries(env).flatMap(([name, value]) =>
    NETWORK_VARIABLES.test(name) && value !== undefined ? [[name, value]] : [],
  );
  const git = new Git({
    searchPath,
    home: env.HOME ?? homedir(),
    network: Object.fromEntries(network),
  });
  return new Checkout(new Mirrors(git, path.join(stateDirectory, 'pipelines', 'mirrors')));
}

function serverOf(context: Context, worker: string, labels: readonly string[]): WorkerServer {
  const client = context.client();
  const of = ({ id, lease }: Offer) => ({ params: { id }, body: { lease } });
  return {
    async take(signal) {
      const body = { worker, labels: [...labels], waitSeconds: WAIT_SECONDS };
      const options = { signal, waitSeconds: WAIT_SECONDS };
      const { job } = await client.call('workers.take', { body }, options);
      // Of this very version on the other side: the schema is looser than the type.
      return job as Offer | undefined;
    },
    begin: async (offer, signal) => void (await client.call('workers.begin', of(offer), { signal })),
    beat: async (offer, signal) => void (await client.call('workers.beat', of(offer), { signal })),
    async log(offer, { group, bytes }, signal) {
      const { params, body } = of(offer);
      const base64 = bytes && Buffer.from(bytes).toString('base64');
      const said = { ...(group !== undefined && { group }), ...(base64 !== undefined && { base64 }) };
      await client.call('workers.log', { params, body: { ...body, ...said } }, { signal });
    },
    async end(offer, end, signal) {
      const { params, body } = of(offer);
      await client.call('workers.end', { params, body: { ...body, ...end } }, { signal });
    },
    async fetchSource({ id, lease }, folder, signal) {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const args = ['--extract', '--file=-', '--no-same-owner', `--directory=${folder}`];
      const tar = spawn('tar', args, { stdio: ['pipe', 'ignore', 'ignore'] });
      const ended = new Promise<number | null>((resolve, reject) => {
        tar.once('error', reject);
        tar.once('close', resolve);
      });
      const text = client.text('workers.source', { params: { id }, query: { lease } }, { signal });
      // tar ends at the end of the archive, and may not read what fills its last block: its own word counts.
      const [sent, code] = await Promise.allSettled([pipeline(Readable.from(text), tar.stdin), ended]);
      if (code.status === 'fulfilled' && code.value === 0) return;
      throw new TaskFailed(
        'Cmd.Source',
        `The source could not be brought to the worker: ${whyOf(sent, code)}`,
      );
    },
  };
}

function whyOf(...ends: readonly PromiseSettledResult<unknown>[]): string {
  const reasons = ends.flatMap((end) => (end.status === 'rejected' ? [asKilnError(end.reason).message] : []));
  return reasons.length === 0 ? 'it could not be unpacked.' : reasons.join('; ');
}
