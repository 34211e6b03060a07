/** Packages out of an SBOM that Kiln has made. Pure. */
import { z } from 'zod';
import type { Ecosystem, Package } from './package-url.ts';

const sbomSchema = z.object({
  components: z.array(
    z.object({
      name: z.string(),
      group: z.string().optional(),
      version: z.string(),
      purl: z.string(),
      properties: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
    }),
  ),
});

export function packagesIn(sbom: string): Package[] {
  return sbomSchema.parse(JSON.parse(sbom)).components.map(({ name, group, version, purl, properties }) => {
    const property = (key: string): string | undefined => properties.find((one) => one.name === key)?.value;
    const ecosystem = purl.slice('pkg:'.length, purl.indexOf('/'));
    const distribution = /[?&]distro=([^&]+)/.exec(purl)?.[1];
    const source = property('kiln:deb-source');
    const at = source?.indexOf('@') ?? -1;
    return {
      // Written by `packageUrl`, which knows no others.
      ecosystem: ecosystem as Ecosystem,
      name: group === undefined ? name : `${group}/${name}`,
      version,
      foundIn: property('kiln:found-in') ?? '',
      ...(distribution === undefined ? {} : { distribution: decodeURIComponent(distribution) }),
      ...(source === undefined
        ? {}
        : { source: { name: source.slice(0, at), version: source.slice(at + 1) } }),
    };
  });
}
