/**
 * Writes the Packer template of a described machine image: one build for each region and architecture, which Packer
 * runs side by side. JSON as every Packer since 1.4 reads it. Pure.
 */

import { KilnError } from '../../../domain/errors.ts';
import type { DescribedMachine } from '../described-machine.ts';
import { amazonChroot, amazonEbs, amazonInstance, digitalOcean } from './cloud-builders.ts';
import { type Json, type JsonObject, literal } from './json.ts';
import { docker, file, nothing } from './local-builders.ts';
import { leftoverProvisioner, packerProvisioners } from './provisioners.ts';
import type { BlockRequest, TemplateRequest } from './template-request.ts';

interface BuilderKind {
  readonly block: (request: BlockRequest) => JsonObject;
  /** The image is taken from a filesystem that is still in use. */
  readonly takenLive?: true;
  readonly isRoot?: true;
}

const KINDS: Readonly<Record<string, BuilderKind>> = {
  'amazon-ebs': { block: amazonEbs },
  'amazon-chroot': { block: amazonChroot, takenLive: true, isRoot: true },
  'amazon-instance': { block: amazonInstance },
  digitalocean: { block: digitalOcean },
  docker: { block: docker, takenLive: true, isRoot: true },
  file: { block: file },
  null: { block: nothing },
};

/** What Kiln itself says in every block: an author's option must not say otherwise. */
const OWN = new Set([
  'type',
  'name',
  'region',
  'tags',
  'snapshot_tags',
  'ami_name',
  'snapshot_name',
  'target',
]);

export function packerTemplate(request: TemplateRequest): JsonObject {
  const { spec, variables } = request;
  const kind = KINDS[spec.builder];
  if (kind === undefined) {
    throw new KilnError('input.invalid', `Kiln writes no Packer template for the builder ${spec.builder}.`, {
      next: 'Give a template of your own as image.machine.packer.',
    });
  }
  const secrets = [...variables].toSorted();
  const provisioners = packerProvisioners(
    spec.provisioners,
    request.scripts,
    kind.isRoot === true || spec.user === 'root',
  );
  return {
    ...(secrets.length === 0
      ? {}
      : {
          variables: Object.fromEntries(secrets.map((name) => [name, ''])),
          'sensitive-variables': secrets,
        }),
    builders: builders(request, kind),
    ...(provisioners.length === 0
      ? {}
      : { provisioners: kind.takenLive ? [...provisioners, leftoverProvisioner()] : provisioners }),
  };
}

function builders(request: TemplateRequest, kind: BuilderKind): JsonObject[] {
  const { spec, sourceOf, ...rest } = request;
  const options = optionsOf(spec);
  const regions = spec.regions.length === 0 ? [undefined] : spec.regions;
  return spec.architectures.flatMap((arch) =>
    regions.map((region) => ({
      type: spec.builder,
      name: [spec.builder, region, arch].filter((part) => part !== undefined).join('.'),
      ...kind.block({ ...rest, spec, arch, region, source: sourceOf(arch, region) }),
      ...options,
    })),
  );
}

function optionsOf(spec: DescribedMachine): Record<string, Json> {
  const taken = Object.keys(spec.options).filter((name) => OWN.has(name));
  if (taken.length > 0) {
    throw new KilnError(
      'input.invalid',
      `The option ${taken.join(', ')} of image.machine is Kiln's to set.`,
      {
        next: 'Take it out of image.machine.options.',
      },
    );
  }
  return Object.fromEntries(
    Object.entries(spec.options).map(([name, value]) => [
      name,
      typeof value === 'string' ? literal(value) : value,
    ]),
  );
}
