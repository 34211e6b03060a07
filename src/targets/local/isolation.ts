import { spawn } from 'node:child_process';
import { constants, readdirSync, readlinkSync } from 'node:fs';
import { access, mkdir, open, realpath, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { endMarked, type Mark } from '../../processes/marked-processes.ts';
import type { TargetLog } from '../target-log.ts';
import type { Isolation } from './description.ts';
import { isWithin, type RootEntry, type SandboxPlan, sandboxCommand } from './sandbox.ts';

/** Sockets of engines that would start anything for whoever can connect, which read-only does not prevent. */
const ENGINE_SOCKETS = [
  '/run/docker.sock',
  '/run/containerd/containerd.sock',
  '/run/podman/podman.sock',
  '/run/lxd.socket',
];
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

export type SandboxHost = Pick<SandboxPlan, 'bwrap' | 'root' | 'hidden' | 'shown' | 'asRoot'>;

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
    const sandbox = await describeHost(bwrap, this.#host);
    const problem = await tryOut(sandbox, this.#host.trialDirectory);
    if (problem === undefined) return sandbox;
    this.#log.warn({ problem }, 'bwrap does not work on this machine: instances run without a sandbox');
    return undefined;
  }
}

async function describeHost(bwrap: string, host: HostView): Promise<SandboxHost> {
  const hidden: { path: string; kind: 'directory' | 'file' }[] = [];
  for (const file of [host.stateDirectory, ...host.hiddenPaths, ...ENGINE_SOCKETS]) {
    const real = await realPathIfSeen(file);
    if (real === undefined || hidden.some((other) => isWithin(real, other.path))) continue;
    hidden.push({ path: real, kind: (await stat(real)).isDirectory() ? 'directory' : 'file' });
  }
  const shown: string[] = [];
  for (const entry of host.path.split(':').filter(path.isAbsolute)) {
    const real = await realPathIfSeen(entry);
    if (real === undefined) continue;
    // A runtime is its whole folder: lib and share stand beside bin.
    shown.push(path.basename(real) === 'bin' ? path.dirname(real) : real);
  }
  return { bwrap, root: rootEntries(), hidden, shown: [...new Set(shown)], asRoot: process.getuid?.() === 0 };
}

function rootEntries(): readonly RootEntry[] {
  return readdirSync('/', { withFileTypes: true }).flatMap((entry): RootEntry[] => {
    const { name } = entry;
    if (entry.isSymbolicLink()) return [{ kind: 'link', name, target: readlinkSync(`/${name}`) }];
    return entry.isDirectory() ? [{ kind: 'directory', name }] : [];
  });
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

/** Undefined for what is not there, or cannot be reached by this user and so by no instance either. */
async function realPathIfSeen(file: string): Promise<string | undefined> {
  try {
    return await realpath(file);
  } catch {
    return undefined;
  }
}
