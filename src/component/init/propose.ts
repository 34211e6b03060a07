/** `kiln init`: looks at a folder and writes the `kiln.yaml` that it most likely wants. */
import { access, constants, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import { isSystemError } from '../../files/system-error.ts';
import { COMPONENT_FILE } from '../read.ts';
import { detectDockerfile } from './dockerfile.ts';
import type { Draft } from './draft.ts';
import { type Folder, readFolder } from './folder.ts';
import { detectGo } from './go.ts';
import { tidyName } from './names.ts';
import { detectNode } from './node.ts';
import { applyProcfile, readProcfile } from './procfile.ts';
import { detectPython } from './python.ts';
import { renderComponent } from './render.ts';
import { detectRuby } from './ruby.ts';
import { detectStaticSite } from './static-site.ts';

export interface Proposal {
  /** What was recognised. */
  readonly what: string;
  readonly yaml: string;
  /** What was guessed and should be looked at, one sentence each. */
  readonly notes: readonly string[];
}

/** The first that knows the folder; a Rails app has a package.json too, any of them may have a Dockerfile. */
const DETECTORS = [
  detectRuby,
  detectPython,
  detectGo,
  detectNode,
  detectDockerfile,
  detectStaticSite,
] as const;

/** Fails with `input.invalid` when nothing is recognised. */
export async function proposeComponent(directory: string): Promise<Proposal> {
  const [folder, schema] = await Promise.all([readFolder(directory), findSchema(path.resolve(directory))]);
  return proposeFor(folder, schema);
}

/** The published schema of this Kiln, relative to the component; none where Kiln came without it. */
async function findSchema(directory: string): Promise<string | undefined> {
  for (let folder = import.meta.dirname; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const schema = path.join(folder, 'schema', 'kiln.schema.json');
    if (await isReadable(schema)) return path.relative(directory, schema);
  }
  return undefined;
}

async function isReadable(file: string): Promise<boolean> {
  try {
    await access(file, constants.R_OK);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return false;
    throw error;
  }
}

/** Pure. */
export function proposeFor(folder: Folder, schema?: string): Proposal {
  const draft = draftFor(folder);
  if (draft === undefined) {
    throw new KilnError('input.invalid', `Nothing in ${folder.name} says how it is run.`, {
      next: 'Add a Procfile with a line such as "web: ./start", or write kiln.yaml by docs/kiln-yaml.md.',
      details: {
        looked_for: 'package.json, Gemfile, requirements.txt, pyproject.toml, go.mod, Procfile, Dockerfile',
      },
    });
  }
  return {
    what: draft.what,
    yaml: renderComponent(tidyName(folder.name), draft, schema),
    notes: draft.notes,
  };
}

function draftFor(folder: Folder): Draft | undefined {
  const found = DETECTORS.map((detect) => detect(folder)).find((draft) => draft !== undefined);
  const commands = readProcfile(folder);
  const draft = commands === undefined ? found : applyProcfile(found, commands);
  if (draft === undefined || draft.kind === 'container' || !folder.entries.has('Dockerfile')) return draft;
  const note = 'There is a Dockerfile too: "image: {kind: container}" would use that instead.';
  return { ...draft, notes: [...draft.notes, note] };
}

/** Writes `kiln.yaml` and returns its path. Fails with `input.conflict` when there is one: it is never overwritten. */
export async function writeComponentFile(directory: string, yaml: string): Promise<string> {
  const file = path.join(directory, COMPONENT_FILE);
  try {
    await writeFile(file, yaml, { flag: 'wx' });
    return file;
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
    throw new KilnError('input.conflict', `There is a ${COMPONENT_FILE} in ${directory} already.`, {
      next: 'Edit that one, or move it away first.',
      cause: error,
    });
  }
}
