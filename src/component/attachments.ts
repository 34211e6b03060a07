/** Files that travel with the definition: templates and checks. A release never reads the source tree. */
import { lstat, readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import type { ComponentDefinition, EnvironmentSpec } from '../domain/component.ts';
import { isSystemError } from '../files/system-error.ts';

export const ATTACHMENT_LIMIT_BYTES = 256 * 1024;
const ATTACHMENTS_LIMIT_BYTES = 2 * 1024 * 1024;

interface AttachmentProblem {
  readonly file: string;
  readonly message: string;
  readonly expected: string;
}

export interface Attachments {
  readonly texts: Readonly<Record<string, string>>;
  readonly problems: readonly AttachmentProblem[];
}

/** Relative paths that any environment names, each once, in the order of their names. */
export function attachmentPaths(definition: ComponentDefinition): readonly string[] {
  const specs = [definition.defaults, ...Object.values<EnvironmentSpec>(definition.environments)];
  const named = specs.flatMap((spec) => [
    ...spec.checks,
    ...spec.config.files.map(({ template }) => template),
  ]);
  return [...new Set(named)].sort();
}

export async function readAttachments(directory: string, names: readonly string[]): Promise<Attachments> {
  const root = await realpath(directory);
  const texts: Record<string, string> = {};
  const problems: AttachmentProblem[] = [];
  let totalBytes = 0;
  for (const file of names) {
    const read = await readAttachment(root, file);
    if ('message' in read) {
      problems.push({ file, ...read });
      continue;
    }
    totalBytes += Buffer.byteLength(read.text);
    if (totalBytes > ATTACHMENTS_LIMIT_BYTES) {
      problems.push({
        file,
        message: 'templates and checks are too large together',
        expected: 'at most 2 MiB',
      });
      break;
    }
    texts[file] = read.text;
  }
  return { texts, problems };
}

type Read = { readonly text: string } | { readonly message: string; readonly expected: string };

async function readAttachment(root: string, file: string): Promise<Read> {
  const resolved = await resolveInside(root, file);
  if (resolved === undefined) {
    return { message: `there is no file ${file}`, expected: "a file in the component's folder" };
  }
  if (resolved === 'outside') {
    return { message: `${file} leads out of the component's folder`, expected: 'a file in it' };
  }
  const stats = await lstat(resolved);
  if (!stats.isFile()) return { message: `${file} is not a file`, expected: 'a file' };
  if (stats.size > ATTACHMENT_LIMIT_BYTES) {
    return { message: `${file} is too large`, expected: 'at most 256 KiB' };
  }
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(await readFile(resolved)) };
  } catch (error) {
    if (error instanceof TypeError) return { message: `${file} is not text`, expected: 'UTF-8' };
    if (isSystemError(error, 'EACCES')) {
      return { message: `${file} cannot be read`, expected: 'a file that this user may read' };
    }
    throw error;
  }
}

async function resolveInside(root: string, file: string): Promise<string | 'outside' | undefined> {
  try {
    const resolved = await realpath(path.join(root, file));
    return resolved.startsWith(`${root}${path.sep}`) ? resolved : 'outside';
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}
