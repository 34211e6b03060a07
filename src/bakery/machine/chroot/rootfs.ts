/**
 * One root filesystem on its way: laid out in a folder of its own, prepared step by step, taken as an archive. The
 * folder holds files of many users, so it is worked on, and removed, as root of the namespaces of `namespace.ts`.
 */
import { lstat, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Provisioner } from '../../../domain/component.ts';
import { KilnError } from '../../../domain/errors.ts';
import { isMissing } from '../../../files/system-error.ts';
import { LEFTOVER_EXIT_CODE } from '../../leftover-processes.ts';
import { type CommandResult, runToEnd } from './command.ts';
import { asNamespaceRoot, type Inside, insideRootfs, SOURCE_INSIDE } from './namespace.ts';
import { INNER_PATH, STEP_ENVIRONMENT, stepScript, stepTitle } from './steps.ts';

const TOOL_TIMEOUT_MS = 30 * 60_000;
const SHOWN_LINES = 20;
/** Every file that is newer gets this time, so that equal content gives an equal archive: 1980-01-01. */
export const ARCHIVE_EPOCH_S = 315_532_800;
/** What differs from build to build and nobody misses. */
const NEVER_ARCHIVED = [
  './dev/*',
  './proc/*',
  './sys/*',
  './run/*',
  './tmp/*',
  './var/log/apt/*',
  './var/log/dpkg.log',
  './var/log/alternatives.log',
  './var/log/bootstrap.log',
  './var/cache/ldconfig/aux-cache',
  './var/cache/apt/*.bin',
  './var/cache/apt/archives/*.deb',
  './var/lib/apt/lists/*_*',
];
const STEP_EXPORTS = Object.entries({ ...STEP_ENVIRONMENT, SOURCE_DATE_EPOCH: `${ARCHIVE_EPOCH_S}` })
  .map(([name, value]) => `export ${name}='${value}'`)
  .join('\n');

export interface RootfsParts {
  /** Absolute; made by this, with all below it, and removed by `remove`. */
  readonly folder: string;
  readonly logFile: string;
  readonly mark: string;
  /** PATH of the programs that work on it from outside. */
  readonly searchPath: string;
  /** Proxies and certificates, for steps that install something. */
  readonly network: Readonly<Record<string, string>>;
  readonly isRoot: boolean;
  readonly onLine: (line: string) => void;
}

export class Rootfs {
  readonly #parts: RootfsParts;
  readonly root: string;

  constructor(parts: RootfsParts) {
    this.#parts = parts;
    this.root = path.join(parts.folder, 'root');
  }

  /** A place beside the root, for archives. */
  beside(name: string): string {
    return path.join(this.#parts.folder, name);
  }

  async open(): Promise<void> {
    await mkdir(this.#parts.folder, { recursive: true, mode: 0o700 });
    const { exitCode, tail } = await this.#run(['true'], new AbortController().signal);
    if (exitCode === 0) return;
    throw new KilnError(
      'tool.missing',
      `This user cannot get the namespaces that a root filesystem is made in: ${tail.slice(-3).join(' ')}`,
      {
        next: 'Install the Debian packages uidmap and util-linux, and give the user a range in /etc/subuid and /etc/subgid; or run Kiln as root.',
      },
    );
  }

  /** @param archive absolute, a tar archive. Devices are left out: no user may make them, and instances get their own. */
  async unpack(archive: string, signal: AbortSignal): Promise<void> {
    await mkdir(this.root, { mode: 0o755 });
    const argv = [
      'tar',
      '-C',
      this.root,
      '--numeric-owner',
      '--same-permissions',
      '--xattrs',
      '--xattrs-include=*',
    ];
    await this.tool([...argv, '--exclude=./dev/*', '--exclude=dev/*', '-xf', archive], signal);
  }

  /** All files, in the order of their names, with nothing of the time or machine. */
  async archive(destination: string, signal: AbortSignal): Promise<void> {
    const argv = ['tar', '-C', this.root, '--sort=name', '--numeric-owner', '--format=posix', '--xattrs'];
    await this.tool(
      [
        ...argv,
        '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
        `--mtime=@${ARCHIVE_EPOCH_S}`,
        '--clamp-mtime',
        ...NEVER_ARCHIVED.map((pattern) => `--exclude=${pattern}`),
        ...['-cf', destination, '.'],
      ],
      signal,
    );
  }

  /** Runs the steps in order; the first that fails ends it. @param source the component's files */
  async prepare(steps: readonly Provisioner[], source: string, signal: AbortSignal): Promise<void> {
    const lent = await this.#lendFiles(signal);
    for (const step of steps) {
      const inside: Inside = {
        root: this.root,
        shown: [{ from: source, to: SOURCE_INSIDE }],
        freshTemp: true,
        network: true,
      };
      const result = await this.inside(
        inside,
        `${STEP_EXPORTS}\n${stepScript(step)}`,
        step.timeoutMs,
        signal,
        this.#parts.network,
      ).catch((thrown: unknown) => Promise.reject(timedOut(thrown, step, this.#parts.logFile)));
      if (result.exitCode !== 0) throw stepFailure(step, result, this.#parts.logFile);
    }
    for (const file of lent) await this.tool(['rm', '-f', file], signal);
  }

  /** Runs a script inside; its exit code is the caller's to judge. Fails with `timeout` or `aborted`. */
  inside(
    inside: Inside,
    script: string,
    timeoutMs: number,
    signal: AbortSignal,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<CommandResult> {
    const { isRoot, logFile, mark, onLine, searchPath } = this.#parts;
    // The outer programs are found by the machine's PATH, the inner ones by their own.
    const argv = insideRootfs(isRoot, inside, `export PATH='${INNER_PATH}'\n${script}`);
    return runToEnd(
      { argv, environment: { ...environment, PATH: searchPath }, timeoutMs, mark, logFile },
      onLine,
      signal,
    );
  }

  /** A program that must succeed, run as root over the files. */
  async tool(
    argv: readonly string[],
    signal: AbortSignal,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const { exitCode, tail } = await this.#run(argv, signal, environment);
    if (exitCode === 0) return;
    const missing = exitCode === 127;
    throw new KilnError(
      missing ? 'tool.missing' : 'build.failed',
      `${argv[0]} ${missing ? 'is not installed' : `failed with exit code ${exitCode}`}: ${tail.slice(-SHOWN_LINES).join('\n')}`,
      {
        details: { log: this.#parts.logFile },
        next: missing
          ? `Install the Debian package with ${argv[0]}.`
          : 'The whole log is in the file named under log.',
      },
    );
  }

  /** Also after a failure; never listens to a caller's signal. */
  async remove(): Promise<void> {
    await this.#run(['rm', '-rf', '--one-file-system', this.root], AbortSignal.timeout(TOOL_TIMEOUT_MS));
    await rm(this.#parts.folder, { recursive: true, force: true });
  }

  #run(
    argv: readonly string[],
    signal: AbortSignal,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<CommandResult> {
    const { folder, isRoot, logFile, mark, onLine, searchPath } = this.#parts;
    return runToEnd(
      {
        argv: asNamespaceRoot(isRoot, argv),
        environment: {
          PATH: searchPath,
          LC_ALL: 'C.UTF-8',
          TMPDIR: folder,
          SOURCE_DATE_EPOCH: `${ARCHIVE_EPOCH_S}`,
          ...environment,
        },
        timeoutMs: TOOL_TIMEOUT_MS,
        mark,
        logFile,
      },
      onLine,
      signal,
    );
  }

  /** While steps run: where names are resolved, and that installed services are not started. */
  async #lendFiles(signal: AbortSignal): Promise<readonly string[]> {
    const policy = this.beside('policy-rc.d');
    await writeFile(policy, '#!/bin/sh\nexit 101\n');
    const lent: string[] = [];
    for (const [from, file, mode] of [
      ['/etc/resolv.conf', 'etc/resolv.conf', '644'],
      [policy, 'usr/sbin/policy-rc.d', '755'],
    ] as const) {
      const to = path.join(this.root, file);
      const wanted = (await isThere(from)) && (await isThere(path.dirname(to))) && !(await isThere(to));
      if (!wanted) continue;
      await this.tool(['install', '-m', mode, from, to], signal);
      lent.push(to);
    }
    return lent;
  }
}

async function isThere(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function timedOut(thrown: unknown, step: Provisioner, log: string): unknown {
  if (!(thrown instanceof KilnError && thrown.code === 'timeout')) return thrown;
  return new KilnError(
    'build.timeout',
    `The step "${stepTitle(step)}" was not done within ${step.timeoutMs / 1000} s.`,
    {
      details: { log },
      next: 'Make it faster, or give the step a longer timeout in kiln.yaml.',
    },
  );
}

function stepFailure(step: Provisioner, { exitCode, tail }: CommandResult, log: string): KilnError {
  const said =
    tail.length === 0 ? 'It printed nothing.' : `Its last lines:\n${tail.slice(-SHOWN_LINES).join('\n')}`;
  if (exitCode === LEFTOVER_EXIT_CODE) {
    return new KilnError('build.failed', `The step "${stepTitle(step)}" left processes running. ${said}`, {
      details: { log },
      next: 'End what it starts, or have it started at boot.',
    });
  }
  return new KilnError(
    'build.failed',
    `The step "${stepTitle(step)}" failed with exit code ${exitCode}. ${said}`,
    {
      details: { log, exitCode },
      next: 'Correct it; the whole log is in the file named under log.',
    },
  );
}
