/** Which pool has which backend, on disk: a restarted server must find its servers where they are. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import { replaceFile } from '../state-file.ts';
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
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
    throw asKilnError(thrown);
  }
  try {
    return fileSchema.parse(JSON.parse(text)).slots;
  } catch (cause) {
    throw new KilnError('state.newer-version', `${file} cannot be read.`, {
      cause,
      next: 'Stop HAProxy, delete that file, and start again: it is made anew.',
    });
  }
}
