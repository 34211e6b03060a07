/**
 * Asking a router who answered: a GET with a secret in `X-Kiln-Probe`, which only Kiln's processes can read.
 * Without the right secret the header means nothing, and nobody outside learns an instance's name.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { asKilnError, KilnError } from '../domain/errors.ts';
import type { InstanceId } from '../domain/ids.ts';
import type { ProbeAnswer } from '../domain/routing.ts';

const SECRET_FILE = 'probe-secret';
const SECRET = /^[0-9a-f]{64}$/;
const PROBE_TIMEOUT_MS = 10_000;

/** Reads the secret of this state directory, making it when there is none. */
export async function probeSecret(stateDirectory: string): Promise<string> {
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const file = path.join(stateDirectory, SECRET_FILE);
  const fresh = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  await writeFile(fresh, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  try {
    await link(fresh, file);
  } catch (thrown) {
    // Somebody made it before: theirs counts.
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw asKilnError(thrown);
  } finally {
    await rm(fresh, { force: true });
  }
  const secret = (await readFile(file, 'utf8')).trim();
  if (SECRET.test(secret)) return secret;
  throw new KilnError('state.in-use', `${file} does not hold a probe secret.`, {
    next: 'Delete the file and restart the router.',
  });
}

export function isSecret(given: string, secret: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(secret);
  return a.length === b.length && timingSafeEqual(a, b);
}

export interface ProbeRequest {
  /** Where the router listens; a wildcard address is reached over loopback. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly secret: string;
  readonly host: string;
  readonly path: string;
}

/** One GET on a new connection. Fails with `router.unreachable` or `timeout`; any status is an answer. */
export function probeThrough(request: ProbeRequest, signal: AbortSignal): Promise<ProbeAnswer> {
  const { listen } = request;
  return new Promise((resolve, reject) => {
    const sent = http.get({
      host: reachable(listen.host),
      port: listen.port,
      path: request.path,
      agent: false,
      signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]),
      headers: { host: request.host, 'x-kiln-probe': request.secret, 'user-agent': 'kiln-probe' },
    });
    sent.on('response', (response) => {
      response.destroy(); // who answered and how is all in the head
      const instance = response.headers['x-kiln-instance'];
      resolve({
        status: response.statusCode ?? 0,
        ...(typeof instance === 'string' ? { instance: instance as InstanceId } : {}),
      });
    });
    sent.on('error', (error) => reject(explain(error, listen, signal)));
  });
}

function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

function explain(
  error: NodeJS.ErrnoException,
  listen: ProbeRequest['listen'],
  signal: AbortSignal,
): KilnError {
  if (error.name === 'AbortError' || error.name === 'TimeoutError' || error.code === 'ABORT_ERR') {
    const message = `No answer through the router at ${listen.host}:${listen.port} came in time.`;
    return signal.aborted
      ? new KilnError('aborted', 'The probe was cancelled.', { cause: error })
      : new KilnError('timeout', message, { cause: error, retryable: true });
  }
  return new KilnError('router.unreachable', `The router at ${listen.host}:${listen.port} did not answer.`, {
    cause: error,
    next: 'See the router’s log; `kiln doctor` says what is wrong.',
    retryable: true,
  });
}
