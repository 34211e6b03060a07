import { access } from 'node:fs/promises';
import path from 'node:path';
import { readComponent } from '../component/read.ts';
import { KilnError } from '../domain/errors.ts';
import { isName } from '../domain/ids.ts';
import type { DefaultPipelineOf } from '../pipeline/default-pipeline.ts';

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
    if (isOwn && (await holdsPipeline(directory))) return { component: name, environments: [] };
    throw error;
  }
}

function holdsPipeline(directory: string): Promise<boolean> {
  return access(path.join(directory, 'pipeline.yaml')).then(
    () => true,
    () => false,
  );
}
