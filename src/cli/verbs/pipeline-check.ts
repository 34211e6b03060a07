import { stat } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import { isMissing } from '../../files/system-error.ts';
import type { FolderFacts } from '../../pipeline/definition/folder-warnings.ts';
import type { PipelineText } from '../../pipeline/pipeline-files.ts';
import { answer, type Context } from '../context.ts';

/** Reads a pipeline as a server would: its faults are the failure; what may be meant otherwise is told beside. */
export async function checkPipeline(context: Context): Promise<number> {
  const { readPipeline } = await import('../../pipeline/definition/pipeline-file.ts');
  const { RESOURCES } = await import('../../pipeline/task-registry.ts');
  const given = context.args[1] ?? '.';
  const isFolder = await isDirectory(given);
  const directory = path.resolve(isFolder ? given : path.dirname(given));
  const { file, text } = await pipelineText(directory, isFolder ? undefined : path.basename(given));
  const shown = isFolder ? path.join(given, file) : given;
  // Its own faults first, whatever is wrong with the kiln.yaml beside it.
  await readPipeline(text, shown, { resources: RESOURCES });
  const folder = await factsOf(directory);
  const { machine, warnings } = await readPipeline(text, shown, {
    resources: RESOURCES,
    ...(folder && { folder }),
  });
  const states = Object.keys(machine.States).length;
  return answer(context, { file: shown, states, warnings }, () => {
    const { colors } = context.terminal;
    const told = warnings.map(({ location, path: at, message, found, didYouMean }) => {
      const where = `${location?.file}:${location?.line}:${location?.column}`;
      const meant = didYouMean === undefined ? '' : `; did you mean "${didYouMean}"?`;
      return `${colors.yellow('!')} ${where}  ${at}: ${message}: ${found}${meant}`;
    });
    return [
      ...told,
      `${colors.green('✓')} ${shown}: nothing wrong in its ${states === 1 ? 'one state' : `${states} states`}`,
    ].join('\n');
  });
}

async function isDirectory(given: string): Promise<boolean> {
  try {
    return (await stat(given)).isDirectory();
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new KilnError('input.invalid', `${given} is not there.`, { next: 'Name a folder, or a file.' });
  }
}

/** Undefined: the folder has no kiln.yaml, as that of a release train. */
async function factsOf(directory: string): Promise<FolderFacts | undefined> {
  const { readComponent } = await import('../../component/read.ts');
  try {
    const { component, environments } = (await readComponent(directory)).definition;
    return { component, environments: Object.keys(environments) };
  } catch (error) {
    if (error instanceof KilnError && error.code === 'component-file.missing') return undefined;
    throw error;
  }
}

async function pipelineText(directory: string, named: string | undefined): Promise<PipelineText> {
  const { pipelineIn } = await import('../../pipeline/pipeline-files.ts');
  const found = await pipelineIn(directory, named);
  if (found !== undefined) return found;
  throw new KilnError('input.invalid', `${directory} has no pipeline of its own.`, {
    next: 'It has the default pipeline: kiln pipeline eject writes it out.',
  });
}
