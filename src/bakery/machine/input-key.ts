/** The digest of everything that goes into a machine image. Pure. */
import type { ComponentDefinition } from '../../domain/component.ts';
import type { Digest } from '../../domain/ids.ts';
import type { ResolvedBase } from '../../domain/ports/builder.ts';
import { sha256 } from '../blobs.ts';

/** Raised when equal inputs would give another image. */
const BUILDER_VERSION = 'machine-1';

export interface Inputs {
  /** All of it travels with the image, so all of it counts, but what it is called. */
  readonly definition: ComponentDefinition;
  /** Digest of the component's files. */
  readonly source: Digest;
  readonly base: ResolvedBase | undefined;
  /** Such as `Packer v1.6.6`. */
  readonly tool: string;
}

export function inputKeyOf({ base, definition, source, tool }: Inputs): Digest {
  const { version: _version, ...rest } = definition;
  const artifacts = (base?.artifacts ?? []).map((one) => [
    one.provider,
    one.region ?? null,
    one.arch,
    one.digest ?? one.reference,
  ]);
  return sha256(JSON.stringify([BUILDER_VERSION, tool, source, artifacts, rest]));
}
