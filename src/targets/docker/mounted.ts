/** What of the host and of the engine is mounted into a container beside its image: rendered files and volumes. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import { confine } from '../confined-path.ts';
import type { LaunchRequest } from '../instance-engine.ts';
import { HOME_DIRECTORY, TEMPORARY_DIRECTORY } from './container-body.ts';
import type { DockerLayout } from './layout.ts';

/** The engine's and this target's own: nothing of the author's is mounted there. */
const RESERVED = ['proc', 'sys', 'dev', 'app', 'run'];

/** Readable by whoever the program runs as: on the host the folder above lets nobody else in. */
export async function writeFiles(
  layout: DockerLayout,
  { id, spec }: LaunchRequest,
): Promise<readonly string[]> {
  const at = layout.instance(id);
  await mkdir(at.files, { recursive: true, mode: 0o700 });
  return Promise.all(
    spec.files.map(async (file, index) => {
      const place = path.join(at.files, String(index));
      await writeFile(place, file.content, { mode: 0o444 });
      return place;
    }),
  );
}

/** Fails with `path.escapes` or `target.unsupported`. */
export function checkVolume(place: string): void {
  if (!path.isAbsolute(place)) {
    confine(place);
    return;
  }
  const [top = ''] = path.posix.normalize(place).slice(1).split('/');
  const own = [...RESERVED, HOME_DIRECTORY.slice(1), TEMPORARY_DIRECTORY.slice(1), ''];
  if (!own.includes(top)) return;
  throw new KilnError('target.unsupported', `A volume cannot be put at ${place}.`, {
    next: 'Use a path relative to the app, or another absolute one, such as /data.',
  });
}
