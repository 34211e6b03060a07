/** Software packages and their names that hold everywhere (https://github.com/package-url/purl-spec). Pure. */

/** As package URLs name them. */
export type Ecosystem = 'npm' | 'deb' | 'pypi' | 'gem' | 'golang' | 'composer' | 'cargo';

export interface Package {
  readonly ecosystem: Ecosystem;
  /** With its scope or vendor: `@aws-sdk/client-s3`, `symfony/console`. */
  readonly name: string;
  readonly version: string;
  /** Of a Debian package: the source it was built from, which advisories speak of. */
  readonly source?: { readonly name: string; readonly version: string };
  /** Of a Debian package: `debian-12`, `ubuntu-24.04`. */
  readonly distribution?: string;
  readonly arch?: string;
  /** As the package itself says it. */
  readonly licence?: string;
  /** Path in the image of the file that names it. */
  readonly foundIn: string;
}

export function packageUrl(one: Package): string {
  const { ecosystem, name, version, arch, distribution } = one;
  const version_ = `@${escaped(version)}`;
  if (ecosystem === 'deb') {
    const vendor = distribution?.split('-')[0] ?? 'debian';
    const qualifiers = [
      arch === undefined ? undefined : `arch=${escaped(arch)}`,
      distribution === undefined ? undefined : `distro=${escaped(distribution)}`,
    ].filter((part) => part !== undefined);
    const tail = qualifiers.length === 0 ? '' : `?${qualifiers.join('&')}`;
    return `pkg:deb/${escaped(vendor)}/${escaped(name)}${version_}${tail}`;
  }
  if (ecosystem === 'pypi') return `pkg:pypi/${escaped(pypiName(name))}${version_}`;
  const path = name.split('/').map(escaped).join('/');
  return `pkg:${ecosystem}/${path}${version_}`;
}

/** PEP 503. */
export function pypiName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}

/** `:` may stand as it is, `@` and `+` may not. */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(/%3A/g, ':');
}
