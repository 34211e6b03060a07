/** Secrets of the server: one file each in a folder of the state directory, which commands do not see. */
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import { readIfThere } from '../../files/durable-file.ts';

export interface Secrets {
  /** Fails with `not-found`. */
  read(name: string): Promise<string>;
}

/** No leading dot and no slash: it cannot lead out of the folder. */
export const SECRET_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

export function secretFolder(folder: string): Secrets {
  return {
    async read(name) {
      const text = SECRET_NAME.test(name) ? await readIfThere(path.join(folder, name)) : undefined;
      if (text !== undefined) return text.replace(/\r?\n$/, '');
      throw new KilnError('not-found', `This server has no secret "${name}".`, {
        next: `Write it to ${path.join(folder, name)}, readable by the server's user alone.`,
      });
    },
  };
}
