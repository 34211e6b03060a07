/**
 * The tables on disk, a file a service, so that a router that was killed serves at once when it is started again,
 * by whomever. A withdrawn service leaves its generation behind for a week, to refuse what comes late.
 */
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { ServiceKey } from '../domain/ids.ts';
import { compareGenerations, type Generation, type ServiceTable } from '../domain/routing.ts';
import { removeDrafts, replaceFile } from '../files/durable-file.ts';
import { generationSchema, serviceKeySchema, serviceTableSchema } from './table-schema.ts';

export type SavedService =
  | { readonly kind: 'table'; readonly table: ServiceTable }
  | {
      readonly kind: 'withdrawn';
      readonly service: ServiceKey;
      readonly generation: Generation;
      readonly atMs: number;
    };

const FORMAT = 1;
/** A router that hands over may still write while the next one reads. */
const WRITTEN_WITHIN_MS = 60_000;
const FORGET_WITHDRAWN_MS = 7 * 24 * 3_600_000;

const fileSchema = z.object({
  format: z.literal(FORMAT),
  saved: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('table'), table: serviceTableSchema }),
    z.object({
      kind: z.literal('withdrawn'),
      service: serviceKeySchema,
      generation: generationSchema,
      atMs: z.number(),
    }),
  ]),
});

export class SavedTables {
  readonly #directory: string;
  readonly #saved = new Map<ServiceKey, Generation>();
  /** Writes of one service follow one another. */
  readonly #writes = new Map<ServiceKey, Promise<void>>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Files that cannot be read are put aside and named in `damaged`; they never look like "no tables". */
  async load(nowMs: number): Promise<{ saved: readonly SavedService[]; damaged: readonly string[] }> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await removeDrafts(this.#directory, WRITTEN_WITHIN_MS);
    const saved: SavedService[] = [];
    const damaged: string[] = [];
    for (const name of await readdir(this.#directory)) {
      if (name.startsWith('.') || !name.endsWith('.json')) continue;
      const file = path.join(this.#directory, name);
      const parsed = parseFile(await readFile(file, 'utf8'));
      if (parsed === undefined) {
        await rename(file, `${file}.damaged`);
        damaged.push(`${file}.damaged`);
      } else if (parsed.kind === 'withdrawn' && nowMs - parsed.atMs > FORGET_WITHDRAWN_MS) {
        await rm(file, { force: true });
      } else {
        saved.push(parsed);
        this.#saved.set(keyOf(parsed), generationOf(parsed));
      }
    }
    return { saved, damaged };
  }

  /** Durable when it resolves; nothing to do when this generation is on disk already. */
  async put(service: SavedService): Promise<void> {
    const key = keyOf(service);
    const before = this.#writes.get(key) ?? Promise.resolve();
    // A write that failed was reported to its own caller; this one stands for itself.
    const write = before.catch(() => undefined).then(() => this.#write(key, service));
    this.#writes.set(key, write);
    try {
      await write;
    } finally {
      if (this.#writes.get(key) === write) this.#writes.delete(key);
    }
  }

  async #write(key: ServiceKey, service: SavedService): Promise<void> {
    const generation = generationOf(service);
    const held = this.#saved.get(key);
    if (held !== undefined && compareGenerations(generation, held) <= 0) return;
    const file = path.join(this.#directory, `${encodeURIComponent(key)}.json`);
    await replaceFile(file, `${JSON.stringify({ format: FORMAT, saved: service })}\n`);
    this.#saved.set(key, generation);
  }
}

function parseFile(text: string): SavedService | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // the caller reports the file as damaged
  }
  return fileSchema.safeParse(value).data?.saved;
}

function keyOf(saved: SavedService): ServiceKey {
  return saved.kind === 'table' ? saved.table.service : saved.service;
}

function generationOf(saved: SavedService): Generation {
  return saved.kind === 'table' ? saved.table.generation : saved.generation;
}
