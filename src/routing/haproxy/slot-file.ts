/** Which pool has which backend, on disk: a restarted server must find its servers where they are. */
import { z } from 'zod';
import { KilnError } from '../../domain/errors.ts';
import { readIfThere, replaceFile } from '../../files/durable-file.ts';
import type { Slot } from './slots.ts';

const FORMAT = 1;

const fileSchema = z.object({
  format: z.literal(FORMAT),
  slots: z.array(
    z
      .object({
        backend: z.string().regex(/^kiln-b\d+$/),
        checkTimeoutMs: z.number().int().positive(),
        pool: z.string().optional(),
      })
      .transform(({ pool, ...slot }): Slot => (pool === undefined ? slot : { ...slot, pool })),
  ),
});

export async function writeSlots(file: string, slots: readonly Slot[]): Promise<void> {
  await replaceFile(file, `${JSON.stringify({ format: FORMAT, slots })}\n`);
}

/** Undefined: there are none yet. */
export async function readSlots(file: string): Promise<readonly Slot[] | undefined> {
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return fileSchema.parse(JSON.parse(text)).slots;
  } catch (cause) {
    throw new KilnError('state.newer-version', `${file} cannot be read.`, {
      cause,
      next: 'Stop HAProxy, delete that file, and start again: it is made anew.',
    });
  }
}
