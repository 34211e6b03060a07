import { randomBytes } from 'node:crypto';
import { chmod, link, lstat, mkdir, readdir, readlink, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { GroupSpec } from '../../domain/server-group.ts';
import { isSystemError } from '../../files/system-error.ts';
import { removeTree } from '../unpacked-images.ts';
import type { LocalLayout } from './layout.ts';

/**
 * Without a sandbox nothing can be mounted, so each group gets a view of its image in a folder of its own:
 * hard links to the image's files, read-only, with links to its volumes and its rendered files between them.
 * It keeps an ordinary user's app from changing the image; root could still, which `isolation: none` says.
 */
export async function makeView(layout: LocalLayout, spec: GroupSpec): Promise<void> {
  const view = layout.view(spec.group);
  if (await isThere(view)) return;
  const partial = `${view}.partial-${randomBytes(4).toString('hex')}`;
  await mkdir(partial, { recursive: true, mode: 0o755 });
  try {
    await linkTree(layout.image(spec.artifact), partial);
    for (const file of spec.files) {
      const place = await clearPlace(partial, file.path);
      await writeFile(place, file.content, { mode: 0o400 });
    }
    for (const volume of spec.process.volumes) {
      const data = layout.volume(spec.service, volume.name);
      await mkdir(data, { recursive: true, mode: 0o700 });
      await symlink(data, await clearPlace(partial, volume.path));
    }
    await makeReadOnly(partial);
    await rename(partial, view);
  } catch (error) {
    await removeTree(partial);
    // Somebody else has made it meanwhile: views of one group are all alike.
    if (!isSystemError(error, 'ENOTEMPTY') && !isSystemError(error, 'EEXIST')) throw asKilnError(error);
  }
}

async function linkTree(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = path.join(from, entry.name);
    const target = path.join(to, entry.name);
    if (entry.isDirectory()) {
      await mkdir(target, { mode: 0o755 });
      await linkTree(source, target);
    } else if (entry.isSymbolicLink()) {
      await symlink(await readlink(source), target);
    } else {
      await chmod(source, (await lstat(source)).mode & 0o555);
      await link(source, target);
    }
  }
}

/** The empty place for something inside the view; what the image has there gives way, but no link is followed. */
async function clearPlace(view: string, relative: string): Promise<string> {
  const parts = relative.split('/').filter((part) => part !== '' && part !== '.');
  let at = view;
  for (const part of parts.slice(0, -1)) {
    at = path.join(at, part);
    await mkdir(at, { recursive: true, mode: 0o755 });
    if (!(await lstat(at)).isDirectory()) {
      throw new KilnError('path.escapes', `${relative} cannot be put in its place: ${part} is a link.`, {
        next: `Choose another path, or leave ${part} out of the image.`,
      });
    }
  }
  const place = path.join(at, parts.at(-1) ?? '');
  await removeTree(place);
  return place;
}

async function makeReadOnly(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeReadOnly(path.join(directory, entry.name));
  }
  await chmod(directory, 0o555);
}

async function isThere(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}
