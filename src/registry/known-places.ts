/**
 * Which repository of a registry has a blob, as far as pushes of this Kiln know: from there it is mounted and not sent.
 * Forgetting costs bytes and nothing else, so a file that cannot be read is begun anew.
 */
import { z } from 'zod';
import type { Digest } from '../domain/ids.ts';
import { readIfThere, replaceFile } from '../files/durable-file.ts';

const PLACES_KNOWN = 20_000;

/** `HOST DIGEST` → name; the one that was learnt last comes last. */
const fileShape = z.array(z.tuple([z.string(), z.string()])).max(PLACES_KNOWN);

export class KnownPlaces {
  readonly #file: string;
  readonly #names: Map<string, string>;
  #writing: Promise<void> = Promise.resolve();

  private constructor(file: string, names: Map<string, string>) {
    this.#file = file;
    this.#names = names;
  }

  /** @param file absolute; made when there is something to know */
  static async open(file: string): Promise<KnownPlaces> {
    return new KnownPlaces(file, new Map(parsePlaces(await readIfThere(file))));
  }

  /** Another repository of the registry than the one that is pushed to. */
  elsewhere(host: string, name: string, blob: Digest): string | undefined {
    const place = this.#names.get(`${host} ${blob}`);
    return place === name ? undefined : place;
  }

  /** Durable when it returns. */
  remember(host: string, name: string, blobs: readonly Digest[]): Promise<void> {
    let isNew = false;
    for (const blob of blobs) {
      const key = `${host} ${blob}`;
      isNew ||= this.#names.get(key) !== name;
      this.#names.delete(key);
      this.#names.set(key, name);
    }
    for (const key of this.#names.keys()) {
      if (this.#names.size <= PLACES_KNOWN) break;
      this.#names.delete(key);
    }
    if (!isNew) return this.#writing;
    const write = () => replaceFile(this.#file, JSON.stringify([...this.#names]));
    // In turn, and whatever became of the one before.
    this.#writing = this.#writing.then(write, write);
    return this.#writing;
  }
}

function parsePlaces(text: string | undefined): [string, string][] {
  if (text === undefined) return [];
  try {
    return fileShape.parse(JSON.parse(text));
  } catch {
    return []; // Damaged, or of another version: it is learnt again.
  }
}
