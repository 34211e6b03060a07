/**
 * The sandbox of commands. They see the machine read-only, without the state directory, the home of the server's user
 * (but for what is on the search path) and the sockets of engines; they write into their workspace and a /tmp of their
 * own, see no other processes, and end as a whole with the server.
 */
import path from 'node:path';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import {
  ENGINE_SOCKETS,
  type HostMounts,
  lookAtHost,
  maskArguments,
  rootArguments,
  sealArguments,
} from '../../processes/host-mounts.ts';
import { runProgram } from './command-process.ts';
import { Workspace } from './workspace.ts';

const TEMPORARY = '/tmp';
/** Made by the sandbox itself. */
const OWN_ENTRIES = new Set(['proc', 'dev', 'tmp']);
const TRIAL_EXIT = 42;
const TRIAL_LIMIT_MS = 10_000;

export interface CommandMachine {
  readonly stateDirectory: string;
  readonly searchPath: string;
  /** Of the user who runs the commands. */
  readonly home: string;
  /** Undefined: not installed. */
  readonly bwrap: string | undefined;
  /** What speaks to the engine of containers; given to commands that ask for it. */
  readonly dockerSocket: string;
  readonly warn: (why: string) => void;
}

export interface Sandbox {
  readonly bwrap: string;
  readonly mounts: HostMounts;
  /** Socket that is shown, wherever it is. */
  readonly engine?: string;
}

export class CommandSandbox {
  readonly #machine: CommandMachine;
  #isUsable: Promise<boolean> | undefined;

  constructor(machine: CommandMachine) {
    this.#machine = machine;
  }

  /**
   * What holds for a command with or without access to the engine. Undefined: there is no sandbox on this machine,
   * which is found out by trying, once.
   */
  async find(withEngine: boolean): Promise<Sandbox | undefined> {
    this.#isUsable ??= this.#try();
    return (await this.#isUsable) ? this.#sandbox(withEngine) : undefined;
  }

  async #sandbox(withEngine: boolean): Promise<Sandbox> {
    const { bwrap = '', stateDirectory, home, searchPath, dockerSocket } = this.#machine;
    const hidden = [stateDirectory, ...(home === '/' ? [] : [home])];
    const sockets = withEngine ? [] : [...ENGINE_SOCKETS, dockerSocket];
    const mounts = await lookAtHost([...hidden, ...sockets], searchPath);
    return { bwrap, mounts, ...(withEngine && { engine: dockerSocket }) };
  }

  async #try(): Promise<boolean> {
    const { bwrap, warn } = this.#machine;
    if (bwrap === undefined) {
      warn('bwrap is not installed: commands run without a sandbox');
      return false;
    }
    const problem = await this.#problem().catch((thrown: unknown) => asKilnError(thrown).message);
    if (problem !== undefined)
      warn(`bwrap does not work on this machine: commands run without a sandbox: ${problem}`);
    return problem === undefined;
  }

  /** Of a command that does nothing, in a sandbox like those of others; undefined: it ended well. */
  async #problem(): Promise<string | undefined> {
    const { stateDirectory, searchPath } = this.#machine;
    const workspace = new Workspace(path.join(stateDirectory, 'pipelines', 'work', 'trial'));
    await workspace.make({});
    try {
      const sandbox = await this.#sandbox(false);
      const argv = [
        ...sandboxArguments(sandbox, workspace, workspace.root),
        'sh',
        '-c',
        `exit ${TRIAL_EXIT}`,
      ];
      const said: Uint8Array[] = [];
      const program = {
        argv,
        directory: workspace.root,
        searchPath,
        environment: {},
        mark: `${stateDirectory}:trial:`,
      };
      const take = async (bytes: Uint8Array) => void said.push(bytes);
      const { exitCode } = await runProgram(program, take, AbortSignal.timeout(TRIAL_LIMIT_MS));
      return exitCode === TRIAL_EXIT
        ? undefined
        : Buffer.concat(said).toString().trim() || `exit code ${exitCode}`;
    } finally {
      await workspace.remove();
    }
  }
}

/** The command line in front of a program that runs in `directory` of the workspace. */
export function sandboxArguments(
  { bwrap, mounts, engine }: Sandbox,
  workspace: Workspace,
  directory: string,
): readonly string[] {
  return [
    bwrap,
    ...['--unshare-pid', '--unshare-ipc', '--die-with-parent'],
    ...rootArguments(mounts.root, OWN_ENTRIES),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...['--bind', workspace.temporary, TEMPORARY],
    ...['--bind-try', workspace.temporary, '/var/tmp'],
    ...maskArguments(mounts, TEMPORARY),
    ...['--bind', workspace.root, workspace.root],
    ...(engine === undefined ? [] : ['--bind-try', engine, engine]),
    ...sealArguments(mounts, TEMPORARY),
    ...(workspace.hostsFile === undefined ? [] : ['--ro-bind', workspace.hostsFile, '/etc/hosts']),
    ...['--remount-ro', '/'],
    ...['--chdir', directory, '--'],
  ];
}

/** What comes from outside runs in a sandbox or not at all: without one it could read all that the server's user can. */
export function strangersNeedSandbox(): KilnError {
  return new KilnError('auth.denied', 'Commands of strangers are not run on a machine without a sandbox.', {
    next: 'Install bubblewrap there and see that it works: kiln doctor',
  });
}
