/**
 * A clean copy of a component's folder, with the digest of what is in it: Packer works on the copy, so that the
 * author's folder is never touched, and nothing changes while it works.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, mkdir, readdir, readlink, symlink } from 'node:fs/promises';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { KilnError } from '../../domain/errors.ts';
import type { Digest } from '../../domain/ids.ts';
import { sha256 } from '../blobs.ts';
import { staysInside } from '../bundle/links.ts';
import { Selection } from '../bundle/selection.ts';

/** Reads it all, and writes it to `destination` when there is one. @param root absolute */
export async function readSource(
  root: string,
  stateDirectory: string,
  destination: string | undefined,
  signal: AbortSignal,
): Promise<Digest> {
  const made = path.relative(root, stateDirectory);
  const inside = made !== '' && !made.startsWith('..') ? [made] : [];
  const selection = new Selection({ include: [], exclude: [], made: inside, keepLitter: false });
  const lines: string[] = [];
  if (destination !== undefined) await mkdir(destination, { mode: 0o755 });
  const visit = async (folder: string, inDependencies: boolean): Promise<void> => {
    const children = await readdir(path.join(root, folder), { withFileTypes: true });
    for (const child of children.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      signal.throwIfAborted();
      const file = path.posix.join(folder, child.name);
      if (selection.standing(file, child.name, { inDependencies, inLitter: false }) !== 'in') continue;
      const to = destination === undefined ? undefined : path.join(destination, file);
      if (child.isDirectory()) {
        lines.push(`directory ${JSON.stringify(file)}`);
        if (to !== undefined) await mkdir(to, { mode: 0o755 });
        await visit(file, inDependencies || child.name === 'node_modules');
      } else if (child.isSymbolicLink()) {
        lines.push(await link(root, file, to));
      } else if (child.isFile()) {
        lines.push(await content(path.join(root, file), file, to, signal));
      }
    }
  };
  await visit('', false);
  return sha256(lines.join('\n'));
}

async function link(root: string, file: string, to: string | undefined): Promise<string> {
  const target = await readlink(path.join(root, file));
  if (!staysInside(file, target, new Map())) {
    throw new KilnError('path.escapes', `The symlink "${file}" leads out of the component.`, {
      next: 'Take it out, or put what it leads to into the component.',
    });
  }
  if (to !== undefined) await symlink(target, to);
  return `link ${JSON.stringify(file)} ${JSON.stringify(target)}`;
}

async function content(
  from: string,
  file: string,
  to: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const mode = ((await lstat(from)).mode & 0o100) === 0 ? 0o644 : 0o755;
  const hash = createHash('sha256');
  const reading = createReadStream(from);
  if (to === undefined) {
    for await (const piece of reading) hash.update(piece);
  } else {
    const hashing = new Transform({
      transform(piece, _encoding, done) {
        hash.update(piece);
        done(null, piece);
      },
    });
    await pipeline(reading, hashing, createWriteStream(to, { mode }), { signal });
  }
  return `file ${JSON.stringify(file)} ${mode.toString(8)} ${hash.digest('hex')}`;
}
