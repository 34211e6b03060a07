import path from 'node:path';
import { readComponent } from '../component/read.ts';
import { KilnError } from '../domain/errors.ts';
import { isName } from '../domain/ids.ts';
import type { DefaultPipelineOf } from '../pipeline/default-pipeline.ts';
import { pipelineIn } from '../pipeline/pipeline-files.ts';

/** Whose pipeline it is: the component's, or the folder's own where that holds a pipeline and no component. */
export async function describeFolder(
  directory: string,
): Promise<DefaultPipelineOf & { readonly base?: string | undefined }> {
  try {
    const { component, environments, image } = (await readComponent(directory)).definition;
    return { component, environments: Object.keys(environments), base: image.base };
  } catch (error) {
    const name = path.basename(path.resolve(directory));
    const isOwn = error instanceof KilnError && error.code === 'component-file.missing' && isName(name);
    if (isOwn && (await pipelineIn(directory)) !== undefined) return { component: name, environments: [] };
    throw error;
  }
}
