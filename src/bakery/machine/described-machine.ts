/** A machine image as `kiln.yaml` describes it, and what it starts from. Pure. */
import type { MachineSpec } from '../../domain/component.ts';
import { baseReference } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import type { Artifact } from '../../domain/image.ts';
import type { BuildRequest } from '../../domain/ports/builder.ts';

export type DescribedMachine = Extract<MachineSpec, { kind: 'described' }>;

/** The base's artifact that fits a place; fails with `input.invalid`, naming what the base has. */
export function baseArtifact(
  { base, definition }: BuildRequest,
  what: string,
  fits: (artifact: Artifact) => boolean,
): Artifact {
  const found = base?.artifacts.find(fits);
  if (found !== undefined) return found;
  const has = base?.artifacts.map(({ kind, provider, region = '', arch }) =>
    [kind, provider, region, arch].filter((part) => part !== '').join(' '),
  );
  throw new KilnError('input.invalid', `The base ${baseReference(definition.image)} has no ${what}.`, {
    next: `Bake it there too; it has: ${has === undefined || has.length === 0 ? 'nothing' : has.join(', ')}.`,
  });
}

/** What the provider calls the image to start from. */
export function providerSource(
  request: BuildRequest,
  spec: DescribedMachine,
  arch: string,
  region: string | undefined,
): string {
  if (request.base === undefined) return spec.source;
  const provider = spec.builder.startsWith('amazon-') ? 'amazon' : spec.builder;
  const where = [provider, region, arch].filter((part) => part !== undefined).join(' ');
  const artifact = baseArtifact(
    request,
    `artifact of ${where}`,
    (one) => one.provider === provider && one.arch === arch && (one.region ?? region) === region,
  );
  return artifact.reference ?? artifact.digest;
}
