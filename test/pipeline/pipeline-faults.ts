import { type Fault, KilnError } from '../../src/domain/errors.ts';
import { readPipeline } from '../../src/pipeline/definition/pipeline-file.ts';
import type { TaskResource } from '../../src/pipeline/definition/resources.ts';

/** Of a pipeline's file, in their order; none: it is read. */
export async function pipelineFaults(
  text: string,
  resources: readonly TaskResource[],
): Promise<readonly Fault[]> {
  try {
    await readPipeline(text, 'pipeline.yaml', { resources });
  } catch (error) {
    if (error instanceof KilnError && error.code === 'pipeline.invalid') return error.faults;
    throw error;
  }
  return [];
}
