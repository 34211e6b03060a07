/** What the command line is told by environment variables, and where it finds the server. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { KilnError } from '../domain/errors.ts';
import { isMissing } from '../files/system-error.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_LISTEN = '127.0.0.1:7070';

export interface ServerFile {
  readonly url: string;
  readonly pid: number;
  readonly version: string;
}

export function stateDirectory(env: Environment, flag?: string): string {
  return path.resolve(flag ?? env.KILN_STATE ?? path.join(env.HOME ?? homedir(), '.kiln'));
}

/** What the server that works the state directory wrote of itself; undefined when none has. */
export function readServerFile(directory: string): ServerFile | undefined {
  const text = readIfThere(path.join(directory, 'server.json'));
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (isServerFile(value)) return value;
  } catch {
    // Cut short by a crash, or half written: as good as absent, the next server writes it anew.
  }
  return undefined;
}

function isServerFile(value: unknown): value is ServerFile {
  return (
    typeof value === 'object' &&
    value !== null &&
    'url' in value &&
    typeof value.url === 'string' &&
    'pid' in value &&
    typeof value.pid === 'number' &&
    'version' in value &&
    typeof value.version === 'string'
  );
}

export interface ServerAddress {
  readonly url: string;
  readonly token?: string;
}

/**
 * KILN_URL, else what the state directory says, else where a server started from here would listen. The token of the state directory is sent only
 * to the server it belongs to or to this machine: a KILN_URL of somewhere else needs its own KILN_TOKEN.
 */
export function serverAddress(env: Environment, directory: string): ServerAddress {
  const own = readServerFile(directory)?.url;
  const url = (env.KILN_URL || own || urlOfListen(env.KILN_LISTEN || DEFAULT_LISTEN)).replace(/\/+$/, '');
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new KilnError('input.invalid', `"${url}" is not the address of a server.`, {
      next: 'Set KILN_URL to an address such as http://127.0.0.1:7070.',
    });
  }
  const local = url === own || /^(localhost|127\.0\.0\.1|\[::1\])$/.test(new URL(url).hostname);
  const token = env.KILN_TOKEN || (local ? readIfThere(path.join(directory, 'token'))?.trim() : undefined);
  return { url, ...(token ? { token } : {}) };
}

/** Who listens on every address of the machine is reached on its loopback. Port 0 could be any: then it says nothing. */
function urlOfListen(listen: string): string {
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(listen) ?? [];
  if (port === '' || Number(port) === 0) return `http://${DEFAULT_LISTEN}`;
  if (host === '[::]') return `http://[::1]:${port}`;
  return `http://${host === '' || host === '0.0.0.0' ? '127.0.0.1' : host}:${port}`;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw new KilnError('input.invalid', `${file} cannot be read.`, {
      cause: thrown,
      next: 'Run this as the user that runs the server, or set KILN_TOKEN and KILN_URL.',
    });
  }
}
