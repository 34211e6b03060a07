/**
 * Runs a scanner on an image: any command that reads the SBOM, or the image's files, or runs within them, and answers
 * in a format that Kiln reads. It gets no shell, no environment of ours, and a limit of time; with it ends all that it
 * has started.
 */
import { spawn } from 'node:child_process';
import { chmod, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { removeUnpacked } from '../../bakery/unpack.ts';
import { KilnError } from '../../domain/errors.ts';
import type { Finding } from '../../domain/finding.ts';
import type { Digest } from '../../domain/ids.ts';
import { readIfThere } from '../../files/durable-file.ts';
import { namesIn } from '../../files/names-in.ts';
import { endMarked, type Mark } from '../../processes/marked-processes.ts';
import { type AnswerFormat, findingsIn } from './answers.ts';

export interface ScannerSpec {
  readonly name: string;
  /**
   * `{sbom}` and `{root}` become the paths of what it reads, `{report}` where it may write its answer; without
   * `{report}` it answers on stdout.
   */
  readonly argv: readonly string[];
  /**
   * `sbom`: also on stdin; `rootfs`: a copy of the image's files; `inside`: it runs with these as its root, in a
   * sandbox, so that what looks at the whole system sees the image and not the host.
   */
  readonly reads: 'sbom' | 'rootfs' | 'inside';
  readonly answers: AnswerFormat;
  /** Of the host, for `inside`: seen at the same paths. */
  readonly bring: readonly string[];
  readonly timeoutMs: number;
}

export interface ScannerHost {
  /** Absolute; a folder of its own is made there for each run. */
  readonly temporary: string;
  readonly searchPath: string;
  readonly bwrap: string | undefined;
  readonly isRoot: boolean;
  /** Unpacks an artifact into an empty folder. */
  readonly unpack: (digest: Digest, directory: string, signal: AbortSignal) => Promise<void>;
  readonly newId: () => string;
}

const PREFIX = 'scan-';
/** Borne by every process of a scan. */
const SCAN_MARK: Mark = { variable: 'KILN_SCAN', of: 'a scan' };
const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024;
const TAIL = 2000;
/** A user who is not root sees all files as his own, and as root's. */
const BECOME_ROOT = ['--unshare-user', '--uid', '0', '--gid', '0'];
/** Root sees whose they are; of its powers it keeps the one to read them. */
const READ_ALL = ['--cap-drop', 'ALL', '--cap-add', 'CAP_DAC_READ_SEARCH'];
/** Where it finds `{report}` inside. */
const INSIDE = '/kiln-scan';

/** Fails with `check.failed` when it gives no answer, `tool.missing` when it is not there, `timeout`. */
export async function runScanner(
  host: ScannerHost,
  spec: ScannerSpec,
  subject: { readonly sbom: string; readonly digest: Digest },
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const folder = path.join(host.temporary, `${PREFIX}${host.newId()}`);
  const root = path.join(folder, 'root');
  const out = path.join(folder, 'out');
  await mkdir(out, { recursive: true, mode: 0o700 });
  try {
    await writeFile(path.join(out, 'sbom.json'), subject.sbom, { mode: 0o600 });
    if (spec.reads !== 'sbom') {
      await mkdir(root);
      await host.unpack(subject.digest, root, signal);
      await openFolders(root);
    }
    const argv = scannerCommand(spec, { root, out, bwrap: host.bwrap, isRoot: host.isRoot });
    const { stdout, stderr, code } = await runToEnd(host, spec, argv, folder, subject.sbom, signal);
    const answer = (await readIfThere(path.join(out, 'report'))) ?? stdout;
    const findings = findingsIn(spec.answers, answer);
    if (findings !== undefined) return findings;
    throw new KilnError(
      'check.failed',
      `The scanner ${spec.name} ended with ${code} and gave no ${spec.answers}: ${(stderr || answer).trim().slice(-TAIL)}`,
      { next: 'Try its command by hand, and correct `scan.scanners` in settings.yaml.' },
    );
  } finally {
    await endMarked(SCAN_MARK, folder);
    await removeUnpacked(root);
    await rm(folder, { recursive: true, force: true });
  }
}

/** What scans that a crash cut off have left. Before the first one of a server. */
export async function sweepScans(temporary: string): Promise<void> {
  for (const name of await namesIn(temporary)) {
    if (!name.startsWith(PREFIX)) continue;
    await endMarked(SCAN_MARK, path.join(temporary, name));
    await removeUnpacked(path.join(temporary, name, 'root'));
    await rm(path.join(temporary, name), { recursive: true, force: true });
  }
}

/** Pure. */
function scannerCommand(
  { name, argv, reads, bring }: ScannerSpec,
  at: {
    readonly root: string;
    readonly out: string;
    readonly bwrap: string | undefined;
    readonly isRoot: boolean;
  },
): string[] {
  const isInside = reads === 'inside';
  const out = isInside ? INSIDE : at.out;
  const places = {
    '{sbom}': path.join(out, 'sbom.json'),
    '{report}': path.join(out, 'report'),
    '{root}': isInside ? '/' : at.root,
  };
  const command = argv.map((word) =>
    Object.entries(places).reduce((text, [mark, place]) => text.replaceAll(mark, place), word),
  );
  if (!isInside) return command;
  if (at.bwrap === undefined) {
    throw new KilnError(
      'tool.missing',
      `The scanner ${name} runs inside the image, which takes bubblewrap.`,
      {
        next: 'Install it: apt-get install bubblewrap',
      },
    );
  }
  return [
    at.bwrap,
    ...['--unshare-ipc', '--unshare-pid', '--unshare-net', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--die-with-parent', '--new-session', '--hostname', 'image'],
    ...(at.isRoot ? READ_ALL : BECOME_ROOT),
    ...['--bind', at.root, '/'],
    ...['--proc', '/proc', '--dev', '/dev', '--perms', '1777', '--tmpfs', '/tmp', '--tmpfs', '/run'],
    ...['--bind', at.out, INSIDE],
    ...bring.flatMap((one) => ['--ro-bind', one, one]),
    ...['--clearenv', '--setenv', 'PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    ...['--setenv', 'HOME', '/root', '--chdir', '/', '--', ...command],
  ];
}

interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | string;
}

function runToEnd(
  { searchPath }: ScannerHost,
  spec: ScannerSpec,
  [file = '', ...args]: readonly string[],
  cwd: string,
  input: string,
  signal: AbortSignal,
): Promise<Ended> {
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(spec.timeoutMs)]);
  // A group of its own, so that all of it ends with it.
  const env = { PATH: searchPath, HOME: cwd, LC_ALL: 'C', [SCAN_MARK.variable]: cwd };
  const child = spawn(file, args, { cwd, env, detached: true });
  const end = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      // It has ended meanwhile, which is what we want.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  };
  limit.addEventListener('abort', end, { once: true });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    stdout += piece;
    if (stdout.length > OUTPUT_LIMIT_BYTES) end();
  });
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    stderr = (stderr + piece).slice(-TAIL);
  });
  // Whoever does not read the SBOM closes the pipe.
  child.stdin.on('error', () => undefined);
  child.stdin.end(spec.reads === 'sbom' ? input : '');
  child.once('error', (cause) => {
    const message = `The scanner ${spec.name} cannot be run: ${cause.message}.`;
    reject(new KilnError('tool.missing', message, { cause, next: `Install ${file}, or correct its path.` }));
  });
  child.once('close', (code, killed) => {
    limit.removeEventListener('abort', end);
    end();
    if (signal.aborted) reject(signal.reason);
    else if (limit.aborted) reject(tooLong(spec));
    else resolve({ stdout, stderr, code: code ?? killed ?? 'nothing' });
  });
  return promise;
}

function tooLong({ name, timeoutMs }: ScannerSpec): KilnError {
  return new KilnError('timeout', `The scanner ${name} took longer than ${timeoutMs / 1000} s.`, {
    next: 'Raise its `timeoutSeconds` in settings.yaml.',
  });
}

/** An unpacked image cannot be written to; places for what is brought along have to be made in it. */
async function openFolders(folder: string): Promise<void> {
  await chmod(folder, (await stat(folder)).mode | 0o700);
  for (const child of await readdir(folder, { withFileTypes: true })) {
    if (child.isDirectory()) await openFolders(path.join(folder, child.name));
  }
}
