/** Files of Kiln's own as one tar, as commands leave theirs: equal files have an equal digest. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';

interface Packing {
  /** Where a folder for them may be made. */
  readonly temporary: string;
  readonly searchPath: string;
}

const TAR = [
  '--create',
  '--file=-',
  '--sort=name',
  '--mtime=@0',
  '--owner=0',
  '--group=0',
  '--mode=u=rwX,go=rX',
  '.',
];

/** @param files by paths that lead nowhere else */
export async function packFiles(
  files: readonly { readonly key: string; readonly text: string }[],
  descriptor: number,
  { temporary, searchPath }: Packing,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(path.join(temporary, 'results-'));
  try {
    for (const { key, text } of files) {
      const file = path.join(folder, key);
      if (!file.startsWith(`${folder}${path.sep}`))
        throw new KilnError('path.escapes', `${key} leads elsewhere.`);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, text, { signal });
    }
    const exitCode = await tar(TAR, { folder, stdout: descriptor, searchPath }, signal);
    if (exitCode !== 0) throw new KilnError('internal', `tar ended with ${exitCode}.`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A folder as it is, with its times and modes. Fails with `source.changed` for one that changes meanwhile. */
export async function packFolder(
  folder: string,
  descriptor: number,
  searchPath: string,
  signal: AbortSignal,
): Promise<void> {
  const args = ['--create', '--file=-', '--sort=name', '--numeric-owner', '.'];
  const exitCode = await tar(args, { folder, stdout: descriptor, searchPath }, signal);
  if (exitCode === 0) return;
  throw new KilnError('source.changed', `${folder} could not be packed as a whole (tar: ${exitCode}).`, {
    next: 'See that Kiln’s user can read all of it, and that nobody changes it meanwhile.',
    retryable: true,
  });
}

/** Its exit code. */
export async function tar(
  args: readonly string[],
  {
    folder,
    searchPath,
    stdin = 'ignore',
    stdout = 'ignore',
  }: {
    readonly folder: string;
    readonly searchPath: string;
    readonly stdin?: number | 'ignore';
    readonly stdout?: number | 'ignore';
  },
  signal: AbortSignal,
): Promise<number> {
  const stdio = [stdin, stdout, 'ignore'] as const;
  const child = spawn('tar', args, { cwd: folder, env: { PATH: searchPath }, stdio: [...stdio], signal });
  const [code] = await once(child, 'exit');
  return typeof code === 'number' ? code : 137;
}
