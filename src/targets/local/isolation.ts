import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { ENGINE_SOCKETS, lookAtHost } from '../../processes/host-mounts.ts';
import { endMarked, type Mark } from '../../processes/marked-processes.ts';
import type { TargetLog } from '../target-log.ts';
import type { Isolation } from './description.ts';
import { type SandboxPlan, sandboxCommand } from './sandbox.ts';

const TRIAL_MS = 5_000;
/** Borne by every process of a trial. */
const TRIAL_MARK: Mark = { variable: 'KILN_TRIAL', of: 'the trial of the sandbox' };

export interface HostView {
  readonly stateDirectory: string;
  readonly hiddenPaths: readonly string[];
  /** Made for the trial of the sandbox and removed after it. */
  readonly trialDirectory: string;
  /** PATH as the instances get it. */
  readonly path: string;
}

export type SandboxHost = Pick<SandboxPlan, 'bwrap' | 'host' | 'asRoot'>;

/** Finds out by trying, once, whether instances can be put into a sandbox here. */
export class SandboxProbe {
  readonly #host: HostView;
  readonly #log: TargetLog;
  #answer: Promise<SandboxHost | undefined> | undefined;

  constructor(host: HostView, log: TargetLog, forced: Isolation | undefined) {
    this.#host = host;
    this.#log = log;
    if (forced === 'none') this.#answer = Promise.resolve(undefined);
  }

  /** Undefined: there is no sandbox on this machine. */
  sandbox(): Promise<SandboxHost | undefined> {
    this.#answer ??= this.#probe();
    return this.#answer;
  }

  async #probe(): Promise<SandboxHost | undefined> {
    const bwrap = await findProgram('bwrap', this.#host.path);
    if (bwrap === undefined) {
      this.#log.warn({ package: 'bubblewrap' }, 'bwrap is not installed: instances run without a sandbox');
      return undefined;
    }
    const { stateDirectory, hiddenPaths, path: searchPath } = this.#host;
    const host = await lookAtHost([stateDirectory, ...hiddenPaths, ...ENGINE_SOCKETS], searchPath);
    const sandbox = { bwrap, host, asRoot: process.getuid?.() === 0 };
    const problem = await tryOut(sandbox, this.#host.trialDirectory);
    if (problem === undefined) return sandbox;
    this.#log.warn({ problem }, 'bwrap does not work on this machine: instances run without a sandbox');
    return undefined;
  }
}

/** Says what went wrong, or undefined when a command ran to its end in a sandbox like those of instances. */
async function tryOut(sandbox: SandboxHost, directory: string): Promise<string | undefined> {
  const isLeft = (await mkdir(directory, { recursive: true, mode: 0o700 })) === undefined;
  // One that hung has been cut off by its server's end, not by its limit.
  if (isLeft) await endMarked(TRIAL_MARK, directory);
  try {
    const [program = '', ...args] = sandboxCommand({
      ...sandbox,
      image: directory,
      home: directory,
      temporary: directory,
      volumes: [],
      files: [],
      command: ['/bin/sh', '-c', 'exit 42'],
    });
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    // It ends by itself, also when its server is killed meanwhile: a sandbox that dies with its parent, or of a pipe
    // that nobody reads any more, can leave its inner half waiting for ever.
    const status = await open('/dev/null', 'w');
    const trial = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe', status.fd],
      env: { [TRIAL_MARK.variable]: directory },
      timeout: TRIAL_MS,
      killSignal: 'SIGKILL',
    });
    let complaint = '';
    trial.stderr?.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    trial.once('error', (error) => resolve(error.message));
    trial.once('close', (code) => resolve(code === 42 ? undefined : complaint.trim() || `exit code ${code}`));
    await status.close();
    const problem = await promise;
    if (trial.killed) await endMarked(TRIAL_MARK, directory);
    return problem;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function findProgram(name: string, searchPath: string): Promise<string | undefined> {
  for (const directory of [...searchPath.split(':'), '/usr/bin', '/bin']) {
    if (!path.isAbsolute(directory)) continue;
    const file = path.join(directory, name);
    try {
      await access(file, constants.X_OK);
      return file;
    } catch {
      // Not in this one; the search goes on.
    }
  }
  return undefined;
}
