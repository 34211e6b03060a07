/** Which file of a folder, or of a commit, is its pipeline. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../domain/errors.ts';
import { isMissing } from '../files/system-error.ts';

export const PIPELINE_FILE = 'pipeline.yaml';
/** A definition has at most a million characters. */
const LARGEST_BYTES = 4 * 1_048_576;
const NAMES = [PIPELINE_FILE, 'microtica.yaml'] as const;

export interface PipelineText {
  /** As it was asked for. */
  readonly file: string;
  readonly text: string;
}

/** Those that may be it: the one that was named, or else those with a pipeline's names. */
export function pipelineFiles(named: string | undefined): readonly string[] {
  return named === undefined ? NAMES : [named];
}

/**
 * The one that is there, of texts in the order of `pipelineFiles`; undefined: none, and the default pipeline is meant.
 * Fails with `pipeline.invalid` when there is more than one.
 */
export function onePipeline(
  where: string,
  named: string | undefined,
  texts: readonly (string | undefined)[],
): PipelineText | undefined {
  const found = pipelineFiles(named).flatMap((file, at) => {
    const text = texts[at];
    return text === undefined ? [] : [{ file, text }];
  });
  if (found.length < 2) return found[0];
  const names = found.map(({ file }) => file).join(' and ');
  throw new KilnError('pipeline.invalid', `${where === '' ? 'The source' : where} has both ${names}.`, {
    next: 'Remove one of them, or name the one that is meant: --file FILE',
  });
}

export async function pipelineIn(folder: string, named?: string): Promise<PipelineText | undefined> {
  const texts = await Promise.all(pipelineFiles(named).map((file) => textIn(path.join(folder, file))));
  return onePipeline(folder, named, texts);
}

async function textIn(file: string): Promise<string | undefined> {
  try {
    const facts = await stat(file);
    // A device has no end, and what a repository brings may be a link to one.
    if (facts.isFile() && facts.size <= LARGEST_BYTES) return await readFile(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  throw new KilnError('pipeline.invalid', `${file} is no file that a pipeline may be.`, {
    next: `Have a file there of at most ${LARGEST_BYTES} bytes.`,
  });
}
