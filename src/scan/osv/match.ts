/** Which advisories are about which packages. Pure. */
import type { Finding } from '../../domain/finding.ts';
import { type Package, packageUrl, pypiName } from '../sbom/package-url.ts';
import { type Advisory, type Affected, type RangeEvent, severityOf } from './advisory.ts';
import { type CompareVersions, compareSemver, orderOf } from './version-orders.ts';

/** Advisories by what they are about, so that an image looks only at those that could be about it. */
export class AdvisoryIndex {
  readonly #byPackage = new Map<string, { readonly advisory: Advisory; readonly affected: Affected }[]>();
  #count = 0;

  add(advisory: Advisory): void {
    if (advisory.withdrawn !== undefined) return;
    this.#count += 1;
    for (const affected of advisory.affected) {
      if (affected.package === undefined) continue;
      const key = keyOf(affected.package.ecosystem, affected.package.name);
      const known = this.#byPackage.get(key);
      if (known === undefined) this.#byPackage.set(key, [{ advisory, affected }]);
      else known.push({ advisory, affected });
    }
  }

  /** Those that were not withdrawn. */
  get count(): number {
    return this.#count;
  }

  /** One finding for a package and an advisory, in the order of packages, then ids. */
  match(packages: readonly Package[]): Finding[] {
    const findings = new Map<string, Finding>();
    for (const one of packages) {
      for (const name of namesOf(one)) {
        for (const { advisory, affected } of this.#byPackage.get(name.key) ?? []) {
          if (!appliesTo(affected, one.distribution) || !isAffected(affected, name.version)) continue;
          const finding = findingOf(one, advisory, affected, name.version);
          findings.set(`${finding.where} ${finding.id}`, finding);
        }
      }
    }
    return [...findings.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, finding]) => finding);
  }
}

/** Whether the version is within what the advisory calls affected: listed, or in a range of its events. */
export function isAffected(affected: Affected, version: string): boolean {
  if (affected.versions.includes(version)) return true;
  const { ecosystem = '' } = affected.package ?? {};
  return affected.ranges.some(({ type, events }) => {
    const compare = type === 'SEMVER' ? compareSemver : type === 'ECOSYSTEM' ? orderOf(ecosystem) : undefined;
    return compare !== undefined && isInRange(version, events, compare);
  });
}

/**
 * The algorithm of the OSV specification: events in the order of their versions; `introduced` begins, `fixed` ends
 * before, `last_affected` ends after itself.
 */
function isInRange(version: string, events: readonly RangeEvent[], compare: CompareVersions): boolean {
  const at = ({ introduced, fixed, last_affected, limit }: RangeEvent): string =>
    introduced ?? fixed ?? last_affected ?? limit ?? '';
  const order = (a: string, b: string): number =>
    a === b ? 0 : a === '0' ? -1 : b === '0' ? 1 : compare(a, b);
  // Of equal versions the one that begins comes last: what is fixed and introduced again at once is affected.
  const sorted = events.toSorted(
    (a, b) => order(at(a), at(b)) || Number(a.introduced !== undefined) - Number(b.introduced !== undefined),
  );
  const limits = events.flatMap(({ limit }) => (limit === undefined || limit === '*' ? [] : [limit]));
  if (limits.length > 0 && !limits.some((limit) => order(version, limit) < 0)) return false;
  let affected = false;
  for (const event of sorted) {
    if (event.introduced !== undefined && order(version, event.introduced) >= 0) affected = true;
    else if (event.fixed !== undefined && order(version, event.fixed) >= 0) affected = false;
    else if (event.last_affected !== undefined && order(version, event.last_affected) > 0) affected = false;
  }
  return affected;
}

const ECOSYSTEMS = {
  npm: 'npm',
  deb: 'Debian',
  pypi: 'PyPI',
  gem: 'RubyGems',
  golang: 'Go',
  composer: 'Packagist',
  cargo: 'crates.io',
} as const;

/** A Debian package is known by its source; the binary's own name is looked for too. */
function namesOf(one: Package): { readonly key: string; readonly version: string }[] {
  const { ecosystem, name, version, source, distribution } = one;
  const osv = distribution?.startsWith('ubuntu') ? 'Ubuntu' : ECOSYSTEMS[ecosystem];
  const own = {
    key: keyOf(osv, name),
    version: ecosystem === 'golang' ? version.replace(/^v/, '') : version,
  };
  return source === undefined || source.name === name
    ? [own]
    : [{ key: keyOf(osv, source.name), version: source.version }, own];
}

function keyOf(ecosystem: string, name: string): string {
  const [family = ''] = ecosystem.split(':');
  return `${family} ${family === 'PyPI' ? pypiName(name) : name}`;
}

/** `Debian:12` is about Debian 12 alone; an image whose release nobody knows is held to all of them. */
function appliesTo(affected: Affected, distribution: string | undefined): boolean {
  const [family, release] = affected.package?.ecosystem.split(':') ?? [];
  if (release === undefined || (family !== 'Debian' && family !== 'Ubuntu')) return true;
  const known = distribution?.split('-')[1];
  return known === undefined || release.startsWith(known);
}

function findingOf(one: Package, advisory: Advisory, affected: Affected, version: string): Finding {
  const summary = advisory.summary || advisory.details.split('\n', 1)[0] || advisory.id;
  const compare = orderOf(affected.package?.ecosystem ?? '') ?? compareSemver;
  const [fixedIn] = affected.ranges
    .filter(({ type }) => type !== 'GIT')
    .flatMap(({ events }) => events.flatMap(({ fixed }) => (fixed === undefined ? [] : [fixed])))
    .filter((fixed) => compare(fixed, version) > 0)
    .sort(compare);
  return {
    id: advisory.id,
    aliases: advisory.aliases,
    severity: severityOf(advisory, affected),
    summary: summary.slice(0, 300),
    where: packageUrl(one),
    ...(fixedIn === undefined ? {} : { fixedIn }),
  };
}
