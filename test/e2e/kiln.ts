/** A Kiln of a test's own: a state directory, a server as a real process from the real launcher, and its command line. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { chown, cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killQuietly } from '../kill-quietly.ts';
import type { LoadReport } from './load-client.ts';
import { TerminalSession } from './terminal-session.ts';

export const ROOT = path.resolve(import.meta.dirname, '../..');
const LAUNCHER = path.join(ROOT, 'bin/kiln');

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface KilnOptions {
  readonly router?: 'built-in' | 'haproxy';
  readonly environment?: Readonly<Record<string, string>>;
  /** A server entry of the test's own, run instead of the launcher's. */
  readonly serverEntry?: string;
  /** Who runs it all and owns the directory, where the test is root. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

export class Kiln {
  readonly directory: string;
  readonly state: string;
  private readonly env: NodeJS.ProcessEnv;
  private readonly serveCommand: readonly [string, ...string[]];
  private readonly user: KilnOptions['user'];
  private server: ChildProcess | undefined;

  private constructor(directory: string, options: KilnOptions) {
    this.directory = directory;
    this.state = path.join(directory, 'state');
    const { serverEntry } = options;
    this.serveCommand = serverEntry === undefined ? [LAUNCHER, 'serve'] : [process.execPath, serverEntry];
    const { KILN_URL: _url, KILN_TOKEN: _token, DATABASE_URL: _database, ...inherited } = process.env;
    this.user = options.user;
    this.env = {
      ...inherited,
      ...(options.user === undefined ? {} : { HOME: directory }),
      KILN_STATE: this.state,
      KILN_LISTEN: '127.0.0.1:0',
      KILN_ROUTER_LISTEN: '127.0.0.1:0',
      KILN_ROUTER: options.router ?? 'built-in',
      NO_COLOR: '1',
      ...options.environment,
    };
  }

  static async create(options: KilnOptions = {}): Promise<Kiln> {
    const directory = await mkdtemp(path.join(tmpdir(), 'kiln-e2e-'));
    if (options.user !== undefined) await chown(directory, options.user.uid, options.user.gid);
    return new Kiln(directory, options);
  }

  get pid(): number {
    const pid = this.server?.pid;
    if (pid === undefined) throw new Error('the server is not running');
    return pid;
  }

  /** Starts `kiln serve` and waits until it is ready. */
  async serve(...flags: string[]): Promise<void> {
    const before = (await this.serverFile())?.pid;
    const [command, ...args] = this.serveCommand;
    const server = spawn(command, [...args, ...flags], {
      ...this.user,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.server = server;
    let output = '';
    server.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    server.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    await until('the server is ready', async () => {
      if (server.exitCode !== null) throw new Error(`kiln serve ended with ${server.exitCode}:\n${output}`);
      const file = await this.serverFile();
      // With --take-over the older server answers until the newer one has taken its place.
      if (file === undefined || file.pid === before || !isAlive(file.pid)) return false;
      const response = await fetch(`${file.url}/readyz`).catch(() => undefined);
      return response?.status === 200;
    });
  }

  async serverFile(): Promise<{ url: string; pid: number } | undefined> {
    const text = await readFile(path.join(this.state, 'server.json'), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** Kills the server outright, as a crash would; instances and router go on. */
  async kill(): Promise<void> {
    const file = await this.serverFile();
    if (file !== undefined) killQuietly(file.pid, 'SIGKILL');
    await this.ended();
  }

  private async ended(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    await until('the server has ended', () =>
      Promise.resolve(server.exitCode !== null || server.signalCode !== null),
    );
    this.server = undefined;
  }

  run(...args: string[]): Promise<CommandResult> {
    return new Promise((resolve) => {
      const limits = { maxBuffer: 64 * 1024 * 1024, timeout: 180_000 };
      const options = { ...this.user, ...limits, env: this.env, cwd: this.directory };
      execFile(LAUNCHER, args, options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ code, stdout, stderr });
      });
    });
  }

  /** Runs a verb where somebody sits. */
  atTerminal(...args: string[]): TerminalSession {
    return new TerminalSession([LAUNCHER, ...args], this.env, this.directory);
  }

  /** Runs a verb that must end well, and gives its `--json` answer. */
  async json<Answer = Record<string, unknown>>(...args: string[]): Promise<Answer> {
    const result = await this.run(...args, '--json');
    if (result.code !== 0) {
      throw new Error(
        `kiln ${args.join(' ')} ended with ${result.code}:\n${result.stdout}\n${result.stderr}`,
      );
    }
    return JSON.parse(result.stdout);
  }

  async call(
    method: string,
    route: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    const file = await this.serverFile();
    const token = (await readFile(path.join(this.state, 'token'), 'utf8')).trim();
    return fetch(`${file?.url}${route}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** `HOST:PORT` where the router takes traffic. */
  async routerAddress(): Promise<string> {
    const response = await this.call('GET', '/api/v1/server');
    const server = (await response.json()) as { router: { listen: string } };
    return server.router.listen;
  }

  /** One request through the router. */
  async ask(host: string, requestPath = '/'): Promise<{ status: number; body: string; headers: Headers }> {
    const { request } = await import('node:http');
    const [hostname, port] = (await this.routerAddress()).split(':');
    return new Promise((resolve, reject) => {
      const call = request({ hostname, port, path: requestPath, headers: { host } }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body,
            headers: new Headers(
              Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
            ),
          }),
        );
      });
      call.on('error', reject);
      call.end();
    });
  }

  /** A copy of an example that the test may change. */
  async example(name: string): Promise<string> {
    const copy = path.join(this.directory, name);
    await cp(path.join(ROOT, 'examples', name), copy, { recursive: true });
    return copy;
  }

  /** Stops everything and removes the directory; fails when a process of it is left. */
  async destroy(): Promise<void> {
    let left: Awaited<ReturnType<typeof processesOf>> = [];
    let said = '';
    try {
      const file = await this.serverFile();
      if (file !== undefined) said = (await this.run('down')).stderr;
      await this.ended().catch(() => undefined);
    } finally {
      left = await processesOf(this.directory);
      for (const one of left) killQuietly(one.pid, 'SIGKILL');
      // Images are unpacked read-only, which an ordinary user cannot delete from.
      execFileSync('chmod', ['-R', 'u+w', this.directory]);
      await rm(this.directory, { recursive: true, force: true });
    }
    if (left.length === 0) return;
    const commands = left.map((one) => one.command).join('; ');
    throw new Error(`processes were left: ${commands}\nkiln down said: ${said}`);
  }
}

/** Constant load through the router until `stop` is called. */
export async function startLoad(
  address: string,
  host: string,
  options: {
    readonly path?: string;
    readonly connections?: number;
    readonly newPerSecond?: number;
    readonly pauseMs?: number;
  } = {},
): Promise<{ stop(): Promise<LoadReport> }> {
  const { path: requestPath = '/', connections = 16, newPerSecond = 50, pauseMs } = options;
  const script = path.join(import.meta.dirname, 'load-client.ts');
  const args = [script, address, host, requestPath, String(connections), String(newPerSecond)];
  if (pauseMs !== undefined) args.push(String(pauseMs));
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  await sleep(300);
  return {
    async stop() {
      child.kill('SIGTERM');
      await closed;
      return JSON.parse(output);
    },
  };
}

/** Looks again and again until it holds; the limit is generous, since nothing is asserted about time. */
export async function until(what: string, holds: () => Promise<boolean>, limitMs = 60_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`it did not come to pass that ${what}`);
    await sleep(25);
  }
}

/** Processes that carry the directory in their environment or arguments: the server, the router, instances. */
export async function processesOf(directory: string): Promise<readonly { pid: number; command: string }[]> {
  const { readdir } = await import('node:fs/promises');
  const found: { pid: number; command: string }[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const [command, environment] = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${entry}/${file}`, 'utf8').catch(() => '')),
    );
    if (!command?.includes(directory) && !environment?.includes(directory)) continue;
    found.push({ pid: Number(entry), command: command?.replaceAll('\0', ' ').trim() ?? '' });
  }
  return found.filter((one) => one.command !== '');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
