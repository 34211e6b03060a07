/**
 * An image as the outputs of a Terraform state, so that `terraform_remote_state` over the `http` backend can read it
 * (state format version 4; https://developer.hashicorp.com/terraform/language/settings/backends/http). Pure.
 */
import type { Image } from '../domain/image.ts';

interface Output {
  readonly value: string | Readonly<Record<string, string>>;
  readonly type: 'string' | readonly ['map', 'string'];
}

export interface TerraformState {
  readonly version: 4;
  readonly terraform_version: string;
  readonly serial: number;
  readonly lineage: string;
  readonly outputs: Readonly<Record<string, Output>>;
  readonly resources: readonly never[];
}

/** Any since 0.12 reads version 4; the one named must only not be newer than the reader. */
const OLDEST_READER = '0.12.0';

/** @param image with the artifact that was asked for first; @param serial grows with every change */
export function terraformState(image: Image, serial: number): TerraformState {
  const [artifact] = image.artifacts;
  const references = image.artifacts.flatMap((one) => {
    const name = one.reference ?? one.digest;
    return name === undefined ? [] : [[`${one.region ?? one.provider}/${one.arch}`, name] as const];
  });
  const strings = {
    id: image.id,
    component: image.component,
    version: image.version,
    digest: artifact?.digest ?? '',
    reference: artifact?.reference ?? '',
    region: artifact?.region ?? '',
    arch: artifact?.arch ?? '',
  };
  return {
    version: 4,
    terraform_version: OLDEST_READER,
    serial,
    lineage: 'kiln-catalogue',
    outputs: {
      ...Object.fromEntries(
        Object.entries(strings).map(([key, value]) => [key, { value, type: 'string' as const }]),
      ),
      references: { value: Object.fromEntries(references), type: ['map', 'string'] },
      tags: { value: image.tags, type: ['map', 'string'] },
    },
    resources: [],
  };
}
