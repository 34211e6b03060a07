/** An image's software bill of materials as CycloneDX 1.6 JSON. Pure: the same image gives the same bytes. */
import { createHash } from 'node:crypto';
import { type Image, isStored } from '../../domain/image.ts';
import { type Package, packageUrl } from './package-url.ts';

/** Media type, under which it travels with an image. */
export const SBOM_TYPE = 'application/vnd.cyclonedx+json';

export interface SbomContent {
  readonly packages: readonly Package[];
  /** Files that should have named packages and could not be read. */
  readonly unreadable: readonly string[];
}

export function sbomText(
  image: Pick<Image, 'component' | 'version' | 'createdAtMs' | 'artifacts'>,
  { packages, unreadable }: SbomContent,
): string {
  const { component, version, createdAtMs } = image;
  const subject = `pkg:generic/${component}@${encodeURIComponent(version)}`;
  const components = packages.map(asComponent);
  const digests = image.artifacts.filter(isStored).map(({ digest }) => digest);
  return JSON.stringify({
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf([subject, ...digests].join(' '))}`,
    version: 1,
    metadata: {
      timestamp: new Date(createdAtMs).toISOString(),
      tools: { components: [{ type: 'application', name: 'kiln' }] },
      component: {
        type: 'application',
        'bom-ref': subject,
        name: component,
        version,
        purl: subject,
        ...(digests.length === 0
          ? {}
          : { properties: digests.map((value) => ({ name: 'kiln:artifact', value })) }),
      },
      ...(unreadable.length === 0
        ? {}
        : { properties: unreadable.map((value) => ({ name: 'kiln:unreadable', value })) }),
    },
    components,
    dependencies: [{ ref: subject, dependsOn: components.map((one) => one['bom-ref']) }],
  });
}

function asComponent(one: Package) {
  const purl = packageUrl(one);
  const slash = one.ecosystem === 'golang' ? -1 : one.name.lastIndexOf('/');
  const properties = [
    { name: 'kiln:found-in', value: one.foundIn },
    ...(one.source === undefined
      ? []
      : [{ name: 'kiln:deb-source', value: `${one.source.name}@${one.source.version}` }]),
  ];
  return {
    type: 'library',
    'bom-ref': purl,
    ...(slash === -1
      ? { name: one.name }
      : { group: one.name.slice(0, slash), name: one.name.slice(slash + 1) }),
    version: one.version,
    ...(one.licence === undefined ? {} : { licenses: [licenceOf(one.licence)] }),
    purl,
    properties,
  };
}

/** An expression of SPDX where it has an operator; else a name, which need not be on SPDX's list. */
function licenceOf(text: string): { expression: string } | { license: { name: string } } {
  return / (?:AND|OR|WITH) /.test(text) ? { expression: text } : { license: { name: text } };
}

/** Version 8 (RFC 9562): what the digest says, in the shape of a UUID. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  const variant = ((Number.parseInt(hex[16] ?? '0', 16) & 0x3) | 0x8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}
