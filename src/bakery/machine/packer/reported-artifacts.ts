/** Turns what Packer reports into what Kiln records. Pure. */
import type { ProviderArtifact } from '../../../domain/image.ts';
import type { ReportedArtifact } from './stream.ts';

/** Something that was made on this machine, still to be put into the blob store. */
export interface MadeFile {
  readonly kind: 'file';
  readonly file: string;
  readonly arch: string;
  /** True: a root filesystem as an archive, which can be booted. */
  readonly isRootfs: boolean;
}

export type Made = MadeFile | { readonly kind: 'provider'; readonly artifact: ProviderArtifact };

/** Packer says which builder made it, each in its own way. */
const PROVIDERS: Readonly<Record<string, string>> = {
  'mitchellh.amazonebs': 'amazon',
  'mitchellh.amazon.chroot': 'amazon',
  'mitchellh.amazon.instance': 'amazon',
  'mitchellh.amazon.ebssurrogate': 'amazon',
  'pearkes.digitalocean': 'digitalocean',
  'packer.post-processor.docker-import': 'docker',
  'fnoeding.null': 'null',
};

export interface Known {
  /** Of builds whose name does not end with one. */
  readonly arch: string;
  /** Size of the disks, where it is known: providers do not say it. */
  readonly diskBytes: number;
}

export function madeBy(reported: ReportedArtifact, known: Known): readonly Made[] {
  const arch = /(?:^|[.-])(amd64|arm64)$/.exec(reported.build)?.[1] ?? known.arch;
  const provider = PROVIDERS[reported.builderId] ?? reported.builderId;
  if (reported.files.length > 0) {
    const isRootfs = reported.builderId === 'packer.docker';
    return reported.files.map((file) => ({ kind: 'file', file, arch, isRootfs }));
  }
  return places(provider, reported.id).map(({ region, reference }) => ({
    kind: 'provider',
    artifact: {
      kind: provider === 'docker' ? 'container' : 'machine',
      provider,
      ...(region === undefined ? {} : { region }),
      arch,
      sizeBytes: known.diskBytes,
      reference,
    },
  }));
}

/** Amazon: `region:ami,region:ami`. DigitalOcean: `region,region:snapshot`. */
function places(provider: string, id: string): readonly { region?: string; reference: string }[] {
  if (provider === 'amazon') {
    return id.split(',').map((pair) => {
      const [region = '', reference = ''] = pair.split(':');
      return { region, reference };
    });
  }
  if (provider === 'digitalocean' && id.includes(':')) {
    const [regions = '', reference = ''] = id.split(':');
    return regions.split(',').map((region) => ({ region, reference }));
  }
  return [{ reference: id }];
}
