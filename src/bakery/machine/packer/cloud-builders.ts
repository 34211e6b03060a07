/** Builder blocks for images that a provider keeps. Pure. */

import { machineDescription, machineImageName, providerTags } from '../image-name.ts';
import { type JsonObject, literal } from './json.ts';
import type { BlockRequest } from './template-request.ts';

const GIB = 1024 ** 3;
/** `owner/pattern`: whose images are looked through; by default our own. */
const OWNED = /^(?<owner>\d{12}|self|amazon|aws-marketplace)\/(?<pattern>.+)$/;
const SMALL_INSTANCE: Readonly<Record<string, string>> = { amd64: 't3.small', arm64: 't4g.small' };

export function amazonEbs(request: BlockRequest): JsonObject {
  const { arch, spec } = request;
  return {
    ...amazon(request),
    ...instance(request),
    snapshot_tags: named(request),
    run_tags: named(request),
    run_volume_tags: named(request),
    ...(spec.provisioners.length === 0 ? { communicator: 'none' } : {}),
    ...(spec.diskBytes === undefined
      ? {}
      : {
          launch_block_device_mappings: [
            { device_name: '/dev/xvda', volume_size: gib(spec.diskBytes), delete_on_termination: true },
          ],
        }),
    ...(arch === 'arm64' ? { ena_support: true } : {}),
  };
}

/** An image whose root is in S3: bundled on the instance itself, so that it is always logged in to. */
export function amazonInstance(request: BlockRequest): JsonObject {
  return { ...amazon(request), ...instance(request), run_tags: named(request) };
}

/** Made in a volume of the instance that Kiln runs on, without starting another. */
export function amazonChroot(request: BlockRequest): JsonObject {
  const { spec } = request;
  return {
    ...amazon(request),
    snapshot_tags: named(request),
    ...(spec.diskBytes === undefined ? {} : { root_volume_size: gib(spec.diskBytes) }),
  };
}

export function digitalOcean(request: BlockRequest): JsonObject {
  const { arch, component, naming, region, source, spec } = request;
  return {
    image: literal(source),
    region: region ?? '',
    size: 's-1vcpu-1gb',
    ssh_username: spec.user ?? 'root',
    snapshot_name: literal(machineImageName(component, arch, naming)),
    // Words without values: letters, digits, `:`, `-` and `_`.
    tags: Object.entries(providerTags(arch, naming)).map(([key, value]) =>
      `${key}:${value}`.replace(/[^A-Za-z0-9:_-]/g, '-').slice(0, 255),
    ),
    ...(spec.provisioners.length === 0 ? { communicator: 'none' } : {}),
    ...(request.variables.has('digitalocean_token') ? { api_token: '{{user `digitalocean_token`}}' } : {}),
  };
}

function amazon(request: BlockRequest): JsonObject {
  const { arch, component, naming, region, source, variables, endpoint } = request;
  const from = (name: string, field: string): JsonObject =>
    variables.has(name) ? { [field]: `{{user \`${name}\`}}` } : {};
  return {
    region: region ?? '',
    ...amazonSource(source, arch),
    ami_name: literal(machineImageName(component, arch, naming)),
    ami_description: literal(machineDescription(component, arch, naming)),
    tags: named(request),
    ...from('aws_access_key', 'access_key'),
    ...from('aws_secret_key', 'secret_key'),
    ...from('aws_token', 'token'),
    ...(endpoint === undefined ? {} : { custom_endpoint_ec2: endpoint, skip_region_validation: true }),
  };
}

function amazonSource(source: string, arch: string): JsonObject {
  if (source.startsWith('ami-')) return { source_ami: source };
  const { owner = 'self', pattern = source } = OWNED.exec(source)?.groups ?? {};
  return {
    source_ami_filter: {
      filters: {
        name: literal(pattern),
        architecture: arch === 'amd64' ? 'x86_64' : arch,
        'virtualization-type': 'hvm',
      },
      owners: [owner],
      most_recent: true,
    },
  };
}

function instance({ arch, spec }: BlockRequest): JsonObject {
  return { instance_type: SMALL_INSTANCE[arch] ?? 't3.small', ssh_username: spec.user ?? 'admin' };
}

function named({ arch, component, naming }: BlockRequest): JsonObject {
  const tags = { Name: machineImageName(component, arch, naming), ...providerTags(arch, naming) };
  return Object.fromEntries(Object.entries(tags).map(([key, value]) => [key, literal(value)]));
}

function gib(bytes: number): number {
  return Math.ceil(bytes / GIB);
}
