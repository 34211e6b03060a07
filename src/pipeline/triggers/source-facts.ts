/** What a source's own files say of it, at a commit or in a folder. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ChannelName, CheckoutOptions, PipelineSource, Triggers } from '../../domain/trigger.ts';
import { isMissing } from '../../files/system-error.ts';
import { readPipeline } from '../definition/pipeline-file.ts';
import { checkoutOf, triggersOf } from '../definition/trigger-declarations.ts';
import { PIPELINE_FILE } from '../pipelines.ts';
import { RESOURCES } from '../task-registry.ts';

export interface Declared {
  readonly triggers: Triggers;
  readonly checkout: CheckoutOptions;
}

/** Of the component that a folder holds. */
export type DescribeComponent = (
  directory: string,
) => Promise<{ readonly component: string; readonly base?: ChannelName }>;

/** Undefined: there is no such file, and the default pipeline is meant. Throws `pipeline.invalid`. */
export async function declaredBy(
  text: string | undefined,
  { branch, directory, file = PIPELINE_FILE }: Pick<PipelineSource, 'branch' | 'directory' | 'file'>,
): Promise<Declared> {
  if (text === undefined) {
    return {
      triggers: triggersOf(undefined, { branch, directory }),
      checkout: { submodules: true, lfs: true },
    };
  }
  const { triggers, checkout } = await readPipeline(text, path.posix.join(directory, file), {
    resources: RESOURCES,
  });
  return { triggers: triggersOf(triggers, { branch, directory }), checkout: checkoutOf(checkout) };
}

export async function fileIn(folder: string, file: string): Promise<string | undefined> {
  try {
    return await readFile(path.join(folder, file), 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
