import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ComponentDefinition } from '../domain/component.ts';
import { type Fault, KilnError } from '../domain/errors.ts';
import { isSystemError } from '../files/system-error.ts';
import { attachmentPaths, readAttachments } from './attachments.ts';
import { invalidFile, parseComponent } from './parse.ts';
import { readYaml } from './yaml-source.ts';

export const COMPONENT_FILE = 'kiln.yaml';
const LIMIT_BYTES = 256 * 1024;

export interface ReadComponent {
  /** With its attachments: it stands alone. */
  readonly definition: ComponentDefinition;
  /** The file as it was, for showing faults in their place. */
  readonly text: string;
}

/**
 * Reads `kiln.yaml` of a component's folder and the files that it names. Fails with `component-file.missing`, or
 * with `component-file.invalid` and every fault at once. Faults name the file as `directory` was given.
 */
export async function readComponent(directory: string): Promise<ReadComponent> {
  const file = path.join(directory, COMPONENT_FILE);
  const text = await readText(directory, file);
  const definition = parseComponent(text, file);
  const { texts, problems } = await readAttachments(directory, attachmentPaths(definition));
  if (problems.length > 0) {
    const source = readYaml(text, file);
    const faults = problems.map(({ file: named, message, expected }): Fault => {
      const location = source.locateText(named);
      return { path: '', message, found: named, expected, ...(location !== undefined && { location }) };
    });
    throw invalidFile(file, faults);
  }
  return { definition: { ...definition, attachments: texts }, text };
}

async function readText(directory: string, file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > LIMIT_BYTES) {
      throw new KilnError('component-file.invalid', `${file} is larger than ${LIMIT_BYTES / 1024} KiB.`, {
        next: 'Keep what is not about delivery in files of its own.',
      });
    }
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) {
      throw new KilnError('component-file.missing', `There is no ${COMPONENT_FILE} in ${directory}.`, {
        next: `Run "kiln init ${directory}" to have one written, or name another folder.`,
        cause: error,
      });
    }
    if (isSystemError(error, 'EISDIR', 'EACCES')) {
      throw new KilnError('component-file.invalid', `${file} cannot be read: ${String(error)}.`, {
        next: 'Make it a file that this user may read.',
        cause: error,
      });
    }
    throw error;
  }
}
