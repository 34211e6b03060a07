/** What a source's own files say of it, at a commit or in a folder. */
import path from 'node:path';
import type { ChannelName, CheckoutOptions, PipelineSource, Triggers } from '../../domain/trigger.ts';
import { parameterFaults, refuseParameters } from '../definition/parameters.ts';
import { readPipeline } from '../definition/pipeline-file.ts';
import { checkoutOf, triggersOf } from '../definition/trigger-declarations.ts';
import type { PipelineText } from '../pipeline-files.ts';
import { jsonObject } from '../pipelines.ts';
import { RESOURCES } from '../task-registry.ts';

export interface Declared {
  readonly triggers: Triggers;
  readonly checkout: CheckoutOptions;
}

/** Parameters that a source is registered with. Throws `input.invalid`: these could never be right; the others may come. */
export async function assertParametersFit(
  found: PipelineText | undefined,
  given: PipelineSource['parameters'],
): Promise<void> {
  // The default pipeline asks for nothing.
  const parameters = found === undefined ? [] : (await readPipeline(found.text, found.file)).parameters;
  const faults = parameterFaults(parameters, jsonObject(given));
  refuseParameters(
    parameters,
    faults.filter(({ path }) => Object.hasOwn(given, path)),
  );
}

/** Of the component that a folder holds. */
export type DescribeComponent = (
  directory: string,
) => Promise<{ readonly component: string; readonly base?: ChannelName }>;

/** Undefined: there is no such file, and the default pipeline is meant. Throws `pipeline.invalid`. */
export async function declaredBy(
  found: PipelineText | undefined,
  { branch, directory }: Pick<PipelineSource, 'branch' | 'directory'>,
): Promise<Declared> {
  if (found === undefined) {
    return {
      triggers: triggersOf(undefined, { branch, directory }),
      checkout: { submodules: true, lfs: true },
    };
  }
  const { triggers, checkout } = await readPipeline(found.text, path.posix.join(directory, found.file), {
    resources: RESOURCES,
  });
  return { triggers: triggersOf(triggers, { branch, directory }), checkout: checkoutOf(checkout) };
}
