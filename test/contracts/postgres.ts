/** A private Postgres from Debian's binaries, in a temporary directory, for as long as a test file runs. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../free-port.ts';

const DEBIAN_HOME = '/usr/lib/postgresql';
const READY_LIMIT_MS = 30_000;

/** Directory that holds `initdb` and `postgres`: on the PATH, or the newest that Debian installed. */
export function postgresBinaries(): string | undefined {
  const onPath = (process.env.PATH ?? '').split(delimiter);
  const fromDebian = existsSync(DEBIAN_HOME)
    ? readdirSync(DEBIAN_HOME)
        .sort((a, b) => Number(b) - Number(a))
        .map((version) => join(DEBIAN_HOME, version, 'bin'))
    : [];
  return [...onPath, ...fromDebian].find((directory) => existsSync(join(directory, 'initdb')));
}

/** Say why a suite is skipped; in CI nothing is, so there it fails. */
export const POSTGRES_MISSING = 'Postgres is not installed: it comes with the Debian package `postgresql`';

/** Postgres refuses to run as root, so root runs it as somebody else. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = accounts.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error('There is no user `postgres` or `nobody` to run Postgres as.');
}

export class PrivatePostgres {
  readonly port: number;
  readonly #binaries: string;
  readonly #directory: string;
  readonly #user: { uid: number; gid: number } | undefined;
  #server: ChildProcess | undefined;
  #databases = 0;

  private constructor(binaries: string, port: number) {
    this.#binaries = binaries;
    this.port = port;
    this.#user = unprivileged();
    this.#directory = mkdtempSync(join(tmpdir(), 'kiln-postgres-'));
    if (this.#user) chownSync(this.#directory, this.#user.uid, this.#user.gid);
  }

  static async start(): Promise<PrivatePostgres> {
    const binaries = postgresBinaries();
    if (binaries === undefined) throw new Error(POSTGRES_MISSING);
    const postgres = new PrivatePostgres(binaries, await freePort());
    postgres.#initialise();
    await postgres.up();
    return postgres;
  }

  #initialise(): void {
    const made = spawnSync(
      join(this.#binaries, 'initdb'),
      [
        '-D',
        join(this.#directory, 'data'),
        '-U',
        'kiln',
        '-A',
        'trust',
        '-E',
        'UTF8',
        '--locale=C',
        '--no-sync',
      ],
      { ...this.#user, cwd: this.#directory, encoding: 'utf8' },
    );
    if (made.status !== 0) throw new Error(`initdb failed: ${made.error?.message ?? made.stderr}`);
  }

  /** Starts the server and waits until it takes connections. */
  async up(): Promise<void> {
    const data = join(this.#directory, 'data');
    const settings = ['-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${this.#directory}`];
    // It is killed, but the machine under it is not: what it has handed to the system stays.
    settings.push('-c', 'fsync=off');
    const server = spawn(
      join(this.#binaries, 'postgres'),
      ['-D', data, '-p', String(this.port), ...settings],
      {
        ...this.#user,
        cwd: this.#directory,
        stdio: 'ignore',
      },
    );
    process.once('exit', () => server.kill('SIGQUIT'));
    this.#server = server;
    const until = Date.now() + READY_LIMIT_MS;
    while (!(await this.#answers())) {
      if (server.exitCode !== null) throw new Error(`postgres ended with ${server.exitCode}`);
      if (Date.now() > until) throw new Error('postgres did not become ready');
      await sleep(50);
    }
  }

  async #answers(): Promise<boolean> {
    try {
      await this.run('postgres', 'select 1');
      return true;
    } catch {
      return false;
    }
  }

  /** `SIGINT` is its fast shutdown, `SIGQUIT` its crash. */
  async down(signal: 'SIGINT' | 'SIGQUIT' = 'SIGINT'): Promise<void> {
    const server = this.#server;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }

  /** A new database, empty or a copy of one that nobody uses; its URL. */
  async database(template = 'template1'): Promise<string> {
    this.#databases += 1;
    const name = `kiln_${this.#databases}`;
    await this.run('postgres', `create database ${name} template ${template} strategy file_copy`);
    return this.url(name);
  }

  url(database: string, port = this.port): string {
    return `postgres://kiln@127.0.0.1:${port}/${database}`;
  }

  async run(database: string, text: string): Promise<pg.QueryResult> {
    return runSql(this.url(database), text);
  }

  async close(): Promise<void> {
    await this.down('SIGQUIT');
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** One statement on a connection of its own, outside of the store. */
export async function runSql(url: string, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await client.query(text);
  } finally {
    await client.end();
  }
}
