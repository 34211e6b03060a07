/**
 * Bounds an output file that its writers hold open and append to, and loses no line of what is kept.
 *
 * The oldest part, up to the end of a line, is copied to `out.log.1`; then its blocks are given back by punching
 * a hole, which touches no byte that anybody writes: the file keeps its length, offsets stay true, and no writer
 * notices. Where holes cannot be punched the file is copied and emptied, as `copytruncate` of logrotate does: what
 * is written between these two steps is lost.
 */
import { execFile } from 'node:child_process';
import { type FileHandle, open, rename, stat, truncate, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { readIfThere } from '../files/durable-file.ts';

export interface RotationLimits {
  /** Rotated when it holds more than this on disk. */
  readonly maxBytes: number;
  /** This much of the newest output stays in place. */
  readonly keepBytes: number;
}

export const ROTATION_LIMITS: RotationLimits = { maxBytes: 16 * 1024 * 1024, keepBytes: 4 * 1024 * 1024 };

const BLOCK_BYTES = 4096;
const COPY_BYTES = 256 * 1024;
const NEWLINE = 10;
const run = promisify(execFile);

/** Returns true when it was rotated. One call at a time for each file. */
export async function rotateLog(
  file: string,
  signal: AbortSignal,
  limits: RotationLimits = ROTATION_LIMITS,
  punch: (file: string, offset: number, length: number, signal: AbortSignal) => Promise<boolean> = punchHole,
): Promise<boolean> {
  const { size, blocks } = await stat(file);
  if (blocks * 512 <= limits.maxBytes) return false;
  const start = await logStart(file);
  const cut = await lineEndBefore(file, start, size - limits.keepBytes);
  if (cut === undefined) return false;
  await copyRange(file, start, cut, `${file}.1`);
  await writeStart(file, cut);
  // Only whole blocks can be given back; the rest of the last one goes with the next rotation.
  const whole = Math.floor(cut / BLOCK_BYTES) * BLOCK_BYTES;
  if (await punch(file, 0, whole, signal)) return true;
  await copyRange(file, start, (await stat(file)).size, `${file}.1`);
  await writeStart(file, 0);
  await truncate(file, 0);
  return true;
}

/** Offset of the first byte that still counts; what is before it is in `out.log.1` or forgotten. */
export async function logStart(file: string): Promise<number> {
  const text = await readIfThere(`${file}.start`);
  const start = Number(text ?? 0);
  return Number.isSafeInteger(start) ? start : 0;
}

async function writeStart(file: string, start: number): Promise<void> {
  await writeFile(`${file}.start.new`, String(start), { mode: 0o600 });
  await rename(`${file}.start.new`, `${file}.start`);
}

/** Offset after the last line end before `limit`; undefined when there is none after `start`. */
async function lineEndBefore(file: string, start: number, limit: number): Promise<number | undefined> {
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.alloc(COPY_BYTES);
    for (let end = limit; end > start; end -= COPY_BYTES) {
      const from = Math.max(start, end - COPY_BYTES);
      const { bytesRead } = await handle.read(buffer, 0, end - from, from);
      const at = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE);
      if (at >= 0) return from + at + 1;
    }
    return undefined;
  } finally {
    await handle.close();
  }
}

/** Whole or not at all: it is written under another name first. */
async function copyRange(file: string, start: number, end: number, to: string): Promise<void> {
  const temporary = `${to}.new`;
  const source = await open(file, 'r');
  try {
    const target = await open(temporary, 'w', 0o600);
    try {
      await copyBytes(source, target, start, end);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
  await rename(temporary, to);
}

async function copyBytes(source: FileHandle, target: FileHandle, start: number, end: number): Promise<void> {
  const buffer = Buffer.alloc(COPY_BYTES);
  for (let at = start; at < end; ) {
    const { bytesRead } = await source.read(buffer, 0, Math.min(COPY_BYTES, end - at), at);
    if (bytesRead === 0) return;
    await target.writeFile(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

/** False when the tool or the file system cannot do it. */
async function punchHole(
  file: string,
  offset: number,
  length: number,
  signal: AbortSignal,
): Promise<boolean> {
  const args = ['--punch-hole', '--offset', String(offset), '--length', String(length), file];
  try {
    await run('fallocate', args, { signal });
    return true;
  } catch (error) {
    if (signal.aborted) throw error;
    return false;
  }
}
