/** Starts a server that outlives this command, and waits until it is ready. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { KilnError } from '../domain/errors.ts';
import type { Context } from './context.ts';
import { readServerFile, serverAddress } from './environment.ts';
import { nodeTransport } from './node-transport.ts';
import { serverCommand } from './server-command.ts';

const READY_LIMIT_MS = 30_000;
const POLL_MS = 25;
const PROBE_LIMIT_MS = 2_000;
const LOG_LINES = 15;

/** True when it had to be started. */
export async function ensureServer(context: Context): Promise<boolean> {
  const { url } = serverAddress(context.env, context.stateDirectory);
  if (await isReady(url)) return false;
  if (context.env.KILN_URL) {
    throw new KilnError('server.unreachable', `No Kiln server answers at ${url}.`, {
      next: 'Start that one, or unset KILN_URL so that one is started here.',
    });
  }
  context.progress.begin(`starting a server in ${context.stateDirectory}`);
  await startServer(context);
  const started = serverAddress(context.env, context.stateDirectory).url;
  context.progress.end('done', `server started at ${started}, its log in ${logFile(context)}`);
  return true;
}

function logFile({ stateDirectory }: Context): string {
  return path.join(stateDirectory, 'server.log');
}

async function startServer(context: Context): Promise<void> {
  mkdirSync(context.stateDirectory, { recursive: true, mode: 0o700 });
  const log = openSync(logFile(context), 'a', 0o600);
  const given = ['--state', context.stateDirectory];
  const { program, args, env } = serverCommand(context.serverEntry, given, context.env);
  const child = spawn(program, args, {
    env,
    detached: true,
    cwd: '/',
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  child.once('error', () => {
    ended = true;
  });
  child.unref();
  const deadlineMs = context.now() + READY_LIMIT_MS;
  for (;;) {
    const server = readServerFile(context.stateDirectory);
    // Another `kiln up` may have been quicker: then its server is the one.
    if (server !== undefined && (await isReady(server.url))) return;
    if (ended || context.now() > deadlineMs) throw notStarted(context, ended);
    await context.sleep(POLL_MS, context.signal);
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const limits = { headersTimeoutMs: PROBE_LIMIT_MS, silenceTimeoutMs: PROBE_LIMIT_MS };
    const answer = await nodeTransport({ method: 'GET', url: `${url}/readyz`, headers: {}, ...limits });
    await answer.text();
    return answer.status === 200;
  } catch {
    return false; // not there, or not yet: the caller decides for how long to ask
  }
}

function notStarted(context: Context, ended: boolean): KilnError {
  const lines = readFileSync(logFile(context), 'utf8').trimEnd().split('\n').slice(-LOG_LINES);
  const what = ended ? 'ended before it was ready' : 'was not ready in time';
  return new KilnError('server.unreachable', `The server ${what}. Its last words:\n  ${lines.join('\n  ')}`, {
    next: `Correct what it says, or run it in the foreground: kiln serve --state ${context.stateDirectory}`,
  });
}
