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
    const tar = spawn('tar', TAR, {
      cwd: folder,
      env: { PATH: searchPath },
      stdio: ['ignore', descriptor, 'ignore'],
      signal,
    });
    const [code] = await once(tar, 'exit');
    if (code !== 0) throw new KilnError('internal', `tar ended with ${String(code)}.`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
