/** Files of an execution's own source, for the items of a Map. Nothing outside of the folder is read, by no way. */
import { constants } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import { isMissing } from '../../files/system-error.ts';
import type { JsonObject } from '../asl/json.ts';

/** Fails with `path.escapes`, `not-found` and `input.too-large`. */
export async function readSourceFile(
  root: string,
  name: string,
  limitBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const file = await inside(root, name);
  // Whoever put another file there meanwhile gets none read through a link; a pipe would hold the server up.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new KilnError('not-found', `${name} is no file.`);
    if (found.size > limitBytes)
      throw new KilnError('input.too-large', `${name} is larger than ${limitBytes} bytes.`);
    return await handle.readFile({ signal });
  } finally {
    await handle.close();
  }
}

/** As a listing of objects: those whose paths begin so, in their order. Links are not followed. */
export async function* listSourceFiles(
  root: string,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<JsonObject> {
  const base = await realpath(root);
  const folder = path.posix.dirname(`${prefix}x`);
  const from = await inside(root, folder).catch((thrown: unknown) => {
    if (thrown instanceof KilnError && thrown.code === 'not-found') return undefined;
    throw thrown;
  });
  if (from !== undefined) yield* filesIn(base, from, prefix.replace(/^(\.\/)+/, ''), signal);
}

async function* filesIn(
  base: string,
  folder: string,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<JsonObject> {
  signal.throwIfAborted();
  const entries = await readdir(folder, { withFileTypes: true });
  // A folder stands where its files do.
  const order = (entry: (typeof entries)[number]) => (entry.isDirectory() ? `${entry.name}/` : entry.name);
  for (const entry of entries.toSorted((one, other) => (order(one) < order(other) ? -1 : 1))) {
    const file = path.join(folder, entry.name);
    const key = path.relative(base, file);
    if (entry.isDirectory() && entry.name !== '.git') {
      if (`${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`))
        yield* filesIn(base, file, prefix, signal);
    } else if (entry.isFile() && key.startsWith(prefix)) {
      const { size, mtimeMs } = await stat(file);
      yield { Key: key, Size: size, LastModified: Math.floor(mtimeMs / 1_000) };
    }
  }
}

/** Where it really is. */
async function inside(root: string, name: string): Promise<string> {
  const base = await realpath(root);
  const wanted = path.resolve(base, name);
  const found = await realpath(wanted).catch((thrown: unknown) => {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  });
  const place = found ?? wanted;
  if (place !== base && !place.startsWith(`${base}${path.sep}`))
    throw new KilnError('path.escapes', `${name} is not in the source.`);
  if (found === undefined) throw new KilnError('not-found', `There is no ${name} in the source.`);
  return found;
}
