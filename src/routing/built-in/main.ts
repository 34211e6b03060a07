/** Entry of the router process. Started detached; its output goes to an append-only file, a JSON object a line. */
import { once } from 'node:events';
import { Server } from 'node:net';
import { z } from 'zod';
import { KilnError } from '../../domain/errors.ts';
import { EXIT_LISTEN_TAKEN, readLimits } from './launch.ts';
import type { ListenAddress } from './listener.ts';
import { handoverSchema, takeControlSchema } from './protocol.ts';
import { describe, RouterProcess, type RouterProcessOptions } from './router-process.ts';

const argumentsSchema = z.tuple([
  z.string(),
  z
    .string()
    .transform((text) => z.object({ host: z.string(), port: z.number().int() }).parse(JSON.parse(text))),
  z.string(),
  z.string().transform((text) => readLimits(z.record(z.string(), z.unknown()).parse(JSON.parse(text)))),
]);

function log(event: string, fields: Readonly<Record<string, unknown>>): void {
  process.stdout.write(
    `${JSON.stringify({ at: new Date().toISOString(), pid: process.pid, event, ...fields })}\n`,
  );
}

async function main(): Promise<void> {
  process.umask(0o077);
  // The router ends when it is asked over its socket; a signal meant for the server's terminal is not that.
  process.on('SIGINT', () => undefined);
  process.on('SIGHUP', () => undefined);
  const [stateDirectory, listen, build, limits] = argumentsSchema.parse(process.argv.slice(2));
  const options: RouterProcessOptions = {
    stateDirectory,
    build,
    limits,
    log,
    exit: () => process.exit(0),
  };
  if (process.send === undefined) await RouterProcess.start(options, listen);
  else await succeed(options, listen);
}

/** See handover.ts for the steps. */
async function succeed(options: RouterProcessOptions, listen: ListenAddress): Promise<void> {
  const tables = once(process, 'message');
  process.send?.({ kind: 'ready' });
  const router = await RouterProcess.succeed(options, handoverSchema.parse((await tables)[0]), listen);
  const listening = listenOnGiven(router);
  process.send?.({ kind: 'prepared' });
  await listening;
  const asked = once(process, 'message');
  process.send?.({ kind: 'listening' });
  takeControlSchema.parse((await asked)[0]);
  await router.takeControl();
  process.send?.({ kind: 'in-control' });
}

/** In the very turn in which the socket arrives: connections may come on it from the next one on. */
function listenOnGiven(router: RouterProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    process.once('message', (_message, server) => {
      if (server instanceof Server) router.listenOn(server).then(resolve, reject);
      else reject(new Error('no listening socket was handed over'));
    });
  });
}

main().catch((thrown: unknown) => {
  log('failed', describe(thrown));
  const isTaken = thrown instanceof KilnError && thrown.code === 'listen.taken';
  process.exit(isTaken ? EXIT_LISTEN_TAKEN : 1);
});
