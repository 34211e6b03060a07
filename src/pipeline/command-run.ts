/**
 * Commands of a pipeline: one shell script, in a workspace of its own that is gone afterwards. Where there is
 * bubblewrap, it sees neither the state directory nor other processes, and ends as a whole with the server; without it,
 * what a dead server has left is found by its mark when the next one starts. Output goes to an append-only file.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../domain/errors.ts';
import { endMarked, type Mark } from '../processes/marked-processes.ts';
import type { Json } from './asl/json.ts';
import { type TaskCall, TaskFailed } from './task.ts';

export interface CommandWish {
  readonly commands: readonly string[];
  readonly source?: string | undefined;
  readonly commit?: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
  readonly timeoutSeconds: number;
}

export interface CommandHost {
  /** The state directory: workspaces and logs are in it, and it is hidden from commands. */
  readonly stateDirectory: string;
  readonly searchPath: string;
  readonly bwrap: string | undefined;
}

/** Borne by every process of a command. */
const COMMAND_MARK: Mark = { variable: 'KILN_COMMAND', of: 'a command' };
const OUTPUT_SHOWN_BYTES = 4_096;
const CHECKOUT_LIMIT_MS = 10 * 60_000;

export class Commands {
  readonly #host: CommandHost;

  constructor(host: CommandHost) {
    this.#host = host;
  }

  /** Before the first command: ends what a dead server has left, and removes its workspaces. */
  async sweep(): Promise<void> {
    await endMarked(COMMAND_MARK, `${this.#host.stateDirectory}:`);
    await rm(this.#folder('work'), { recursive: true, force: true });
  }

  async run(wish: CommandWish, call: TaskCall, signal: AbortSignal): Promise<Json> {
    const work = this.#folder('work', call.key.replaceAll('/', '-'));
    const log = this.#folder('logs', `${call.key}.log`);
    await mkdir(path.join(work, 'secrets'), { recursive: true, mode: 0o700 });
    await mkdir(path.dirname(log), { recursive: true, mode: 0o700 });
    const deadline = AbortSignal.timeout(wish.timeoutSeconds * 1_000);
    const either = AbortSignal.any([signal, deadline]);
    try {
      for (const [name, text] of Object.entries(wish.files)) {
        await writeFile(path.join(work, 'secrets', name), text, { mode: 0o600 });
      }
      await this.#source(wish, work, { log, mark: this.#mark(call), signal: either });
      const exitCode = await this.#script(wish, work, { log, mark: this.#mark(call), signal: either });
      const output = await endOf(log);
      if (exitCode === 0) return { exitCode, output };
      throw new TaskFailed('Cmd.Failed', `The commands ended with exit code ${exitCode}:\n${output}`);
    } catch (thrown) {
      if (!deadline.aborted || signal.aborted) throw thrown;
      const output = await endOf(log).catch(() => '');
      throw new TaskFailed(
        'States.Timeout',
        `The commands did not end within ${wish.timeoutSeconds} s:\n${output}`,
      );
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  #folder(...parts: readonly string[]): string {
    return path.join(this.#host.stateDirectory, 'pipelines', ...parts);
  }

  #mark({ key }: TaskCall): string {
    return `${this.#host.stateDirectory}:${key}:`;
  }

  async #source({ source, commit }: CommandWish, work: string, run: Running): Promise<void> {
    const app = path.join(work, 'app');
    if (source === undefined) {
      await mkdir(app);
      return;
    }
    const isFolder = path.isAbsolute(source) && (await stat(source).catch(() => undefined))?.isDirectory();
    if (isFolder && commit === undefined) {
      await cp(source, app, { recursive: true, verbatimSymlinks: true });
      return;
    }
    const limited = { ...run, signal: AbortSignal.any([run.signal, AbortSignal.timeout(CHECKOUT_LIMIT_MS)]) };
    const clone = [
      'git',
      'clone',
      '--quiet',
      ...(commit === undefined ? ['--depth=1'] : []),
      '--',
      source,
      app,
    ];
    const checkout = ['git', '-C', app, 'checkout', '--quiet', '--detach', commit ?? 'HEAD'];
    for (const argv of [clone, checkout]) {
      const exitCode = await this.#started(argv, work, { GIT_TERMINAL_PROMPT: '0' }, limited);
      if (exitCode !== 0) {
        throw new TaskFailed('Cmd.Source', `${source} could not be checked out:\n${await endOf(run.log)}`);
      }
    }
  }

  #script(wish: CommandWish, work: string, run: Running): Promise<number> {
    const { bwrap, stateDirectory } = this.#host;
    const script = ['/bin/sh', '-ec', wish.commands.join('\n')];
    const app = path.join(work, 'app');
    const sandbox =
      bwrap === undefined
        ? []
        : [
            bwrap,
            ...['--dev-bind', '/', '/', '--unshare-pid', '--proc', '/proc', '--die-with-parent'],
            ...['--tmpfs', stateDirectory, '--bind', work, work, '--chdir', app, '--'],
          ];
    const environment = { ...wish.environment, KILN_SECRETS: path.join(work, 'secrets') };
    return this.#started([...sandbox, ...script], app, environment, run);
  }

  /** Resolves with the exit code once all processes have ended; the signal ends them. */
  async #started(
    [program = '', ...args]: readonly string[],
    directory: string,
    environment: Readonly<Record<string, string>>,
    { log, mark, signal }: Running,
  ): Promise<number> {
    signal.throwIfAborted();
    const output = await open(log, 'a', 0o600);
    try {
      const child = spawn(program, args, {
        cwd: directory,
        detached: true,
        stdio: ['ignore', output.fd, output.fd],
        env: {
          PATH: this.#host.searchPath,
          HOME: directory,
          LANG: 'C.UTF-8',
          CI: 'true',
          ...environment,
          [COMMAND_MARK.variable]: mark,
        },
      });
      const onAbort = () => void endMarked(COMMAND_MARK, mark).catch(() => undefined); // tried again below, where it is told
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        const [code] = await once(child, 'close');
        await endMarked(COMMAND_MARK, mark);
        signal.throwIfAborted();
        return typeof code === 'number' ? code : 137;
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    } catch (cause) {
      if (signal.aborted) throw cause;
      throw new KilnError('tool.missing', `${program} could not be run.`, {
        cause,
        next: `Install ${program} on the server's machine.`,
      });
    } finally {
      await output.close();
    }
  }
}

interface Running {
  readonly log: string;
  readonly mark: string;
  readonly signal: AbortSignal;
}

async function endOf(log: string): Promise<string> {
  const whole = await readFile(log);
  return whole.subarray(-OUTPUT_SHOWN_BYTES).toString('utf8');
}
