/** The digest of everything that goes into an image. Pure. */
import type { ComponentDefinition } from '../../domain/component.ts';
import type { Digest } from '../../domain/ids.ts';
import { sha256 } from '../blobs.ts';

/** Raised when equal inputs would give another image. */
export const BUILDER_VERSION = 'bundle-1';

export interface Inputs {
  /** Its image part with the steps as they are run. All else travels with the image, so it counts too. */
  readonly definition: ComponentDefinition;
  /** Digest of the tree. */
  readonly source: Digest;
  readonly base: Digest | undefined;
  /** Versions of the tools that the build commands name; empty without commands. */
  readonly tools: Readonly<Record<string, string>>;
  /** Counts only where commands run: packing knows no architecture. */
  readonly arch: string;
}

export function inputKeyOf(inputs: Inputs): Digest {
  const { image, version: _version, ...rest } = inputs.definition;
  const builds = image.build.length > 0;
  return sha256(
    JSON.stringify([
      BUILDER_VERSION,
      image.kind,
      inputs.base ?? null,
      image.build.map((step) => [step.run, step.inputs ?? null, step.outputs ?? null]),
      builds ? sortedPairs(image.buildEnvironment) : [],
      builds ? sortedPairs(inputs.tools) : [],
      builds ? inputs.arch : null,
      image.include,
      image.exclude,
      rest,
      inputs.source,
      // Only where it says something: keys of before stay what they are.
      ...(image.rebake === undefined ? [] : [image.rebake]),
      ...(image.tags === undefined ? [] : [{ tags: sortedPairs(image.tags) }]),
    ]),
  );
}

export function sortedPairs(record: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
