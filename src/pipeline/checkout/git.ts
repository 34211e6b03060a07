/**
 * Runs git, for repositories that nobody here has written: it asks nobody anything, speaks one protocol only, runs no
 * hook, and is ended with everything that it has started. Credential helpers and SSH keys are those of the server's user.
 */
import { spawn } from 'node:child_process';
import { KilnError } from '../../domain/errors.ts';
import { isSystemError } from '../../files/system-error.ts';
import type { RepositoryUrl } from './repository-url.ts';

export interface GitHost {
  readonly searchPath: string;
  readonly home: string;
  /** Proxies and certificates. */
  readonly network: Readonly<Record<string, string>>;
}

export interface GitCall {
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly input?: string;
  readonly protocol?: RepositoryUrl['protocol'];
  /** Settings beside those that always hold. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly limitMs: number;
}

interface GitOutcome {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024;
const ERROR_SHOWN_BYTES = 2_000;

/** They hold for git's own children too, such as those that fetch submodules. */
const SETTINGS: Readonly<Record<string, string>> = {
  'core.hooksPath': '/dev/null',
  'core.fsmonitor': 'false',
  'init.templateDir': '',
  // Tidied up when nobody waits for it: see mirrors.ts.
  'maintenance.auto': 'false',
  'gc.autoDetach': 'false',
  'advice.detachedHead': 'false',
  'protocol.ext.allow': 'never',
  // Large files are brought by a step of their own, whatever the machine's settings say.
  'filter.lfs.process': '',
  'filter.lfs.smudge': '',
  'filter.lfs.required': 'false',
};

/** Pure. */
export function gitEnvironment(
  { searchPath, home, network }: GitHost,
  { protocol, settings = {} }: Pick<GitCall, 'protocol' | 'settings'>,
): Record<string, string> {
  const all = Object.entries({ ...SETTINGS, ...settings });
  const configured = all.flatMap(([key, value], at) => [
    [`GIT_CONFIG_KEY_${at}`, key],
    [`GIT_CONFIG_VALUE_${at}`, value],
  ]);
  return {
    ...network,
    PATH: searchPath,
    HOME: home,
    LC_ALL: 'C.UTF-8',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    SSH_ASKPASS_REQUIRE: 'never',
    GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o ConnectTimeout=15',
    GIT_ALLOW_PROTOCOL: protocol ?? 'none',
    GIT_CONFIG_COUNT: String(all.length),
    ...Object.fromEntries(configured),
  };
}

export class Git {
  readonly #host: GitHost;

  constructor(host: GitHost) {
    this.#host = host;
  }

  /** Its output. Fails with `checkout.failed`, `tool.missing`, `timeout` or the signal's reason. */
  async run(call: GitCall, signal: AbortSignal): Promise<string> {
    return (await this.bytes(call, signal)).toString('utf8');
  }

  /** As `run`, where what it says is no text. */
  async bytes(call: GitCall, signal: AbortSignal): Promise<Buffer> {
    const { exitCode, stdout, stderr } = await this.#outcome(call, signal);
    if (exitCode === 0) return stdout;
    throw failed(call, exitCode, stderr.toString('utf8'));
  }

  /** Undefined: git says no, which is an answer here. */
  async ask(call: GitCall, signal: AbortSignal): Promise<string | undefined> {
    const { exitCode, stdout } = await this.#outcome(call, signal);
    return exitCode === 0 ? stdout.toString('utf8') : undefined;
  }

  async #outcome(call: GitCall, signal: AbortSignal): Promise<GitOutcome> {
    const limit = AbortSignal.timeout(call.limitMs);
    const either = AbortSignal.any([signal, limit]);
    either.throwIfAborted();
    const child = spawn('git', call.argv, {
      ...(call.cwd !== undefined && { cwd: call.cwd }),
      env: gitEnvironment(this.#host, call),
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own, so that what it starts to fetch is ended with it.
      detached: true,
    });
    const { promise: closed, resolve, reject } = Promise.withResolvers<number>();
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 137));
    const end = (): void => endGroup(child.pid);
    either.addEventListener('abort', end, { once: true });
    const [stdout, stderr] = [gathered(child.stdout, end), gathered(child.stderr, end)];
    // It may end without having read its input, which its exit code then tells.
    child.stdin.on('error', () => undefined).end(call.input ?? '');
    try {
      const exitCode = await closed;
      signal.throwIfAborted();
      if (limit.aborted) throw tooLong(call);
      return { exitCode, stdout: stdout(), stderr: stderr() };
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error;
      throw new KilnError('tool.missing', 'There is no git on this machine.', {
        cause: error,
        next: 'Install it: apt-get install git',
      });
    } finally {
      either.removeEventListener('abort', end);
    }
  }
}

function gathered(stream: NodeJS.ReadableStream, end: () => void): () => Buffer {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > OUTPUT_LIMIT_BYTES) end();
    else chunks.push(chunk);
  });
  return () => Buffer.concat(chunks);
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!isSystemError(error, 'ESRCH')) throw error;
  }
}

function failed({ argv }: GitCall, exitCode: number, stderr: string): KilnError {
  const said = stderr.trim().slice(-ERROR_SHOWN_BYTES);
  return new KilnError('checkout.failed', `git ${verbOf(argv)} ended with ${exitCode}: ${said}`, {
    next: 'See that the user that runs Kiln there can reach the repository with git, without being asked anything.',
    retryable: true,
  });
}

function tooLong({ argv, limitMs }: GitCall): KilnError {
  return new KilnError('timeout', `git ${verbOf(argv)} did not end within ${limitMs / 1_000} s.`, {
    next: 'See that the repository can be reached from the machine that checks out.',
    retryable: true,
  });
}

function verbOf(argv: readonly string[]): string {
  return argv.find((part) => /^[a-z]/.test(part)) ?? '';
}
