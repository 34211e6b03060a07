/** Files that say which packages an image holds, and how each is read. Pure: no network, no package manager. */
import type { Ecosystem, Package } from './package-url.ts';

/** Gives what a file names. `distribution` is the image's own, as `/etc/os-release` has it. */
type Reader = (text: string, path: string, distribution: string | undefined) => readonly Package[];

interface Kind {
  readonly matches: RegExp;
  readonly read: Reader;
}

const KINDS: readonly Kind[] = [
  { matches: /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@][^/]*\/package\.json$/, read: npmPackage },
  { matches: /(?:^|\/)(?:package-lock|npm-shrinkwrap)\.json$/, read: npmLock },
  { matches: /(?:^|\/)var\/lib\/dpkg\/(?:status|status\.d\/[^/]+)$/, read: dpkgStatus },
  { matches: /\.dist-info\/METADATA$/, read: pythonMetadata },
  { matches: /\.egg-info(?:\/PKG-INFO)?$/, read: pythonMetadata },
  { matches: /(?:^|\/)Gemfile\.lock$/, read: gemfileLock },
  { matches: /(?:^|\/)go\.sum$/, read: goSum },
  { matches: /(?:^|\/)composer\.lock$/, read: composerLock },
  { matches: /(?:^|\/)Cargo\.lock$/, read: cargoLock },
];

const OS_RELEASE = /(?:^|\/)(?:etc|usr\/lib)\/os-release$/;

/** Larger ones are no lists of packages that we know. */
export const FILE_LIMIT_BYTES = 64 * 1024 * 1024;

/**
 * The ones to read of all paths of an image. A lock of npm counts only where what it locks is not there itself: it
 * also names what is only for development.
 */
export function packageFiles(paths: readonly string[]): string[] {
  const installed = new Set<string>();
  for (const path of paths) {
    const at = path.indexOf('node_modules/');
    if (at === 0 || path[at - 1] === '/') installed.add(path.slice(0, at));
  }
  return paths.filter((path) => {
    if (OS_RELEASE.test(path)) return true;
    const kind = KINDS.find(({ matches }) => matches.test(path));
    if (kind === undefined) return false;
    return kind.read !== npmLock || !installed.has(path.slice(0, path.lastIndexOf('/') + 1));
  });
}

/** Every package once, in the order of their names. A file that cannot be understood names none, and is named. */
export function packagesOf(files: ReadonlyMap<string, string>): {
  readonly packages: readonly Package[];
  readonly unreadable: readonly string[];
} {
  const distribution = distributionOf(files);
  const found = new Map<string, Package>();
  const unreadable: string[] = [];
  for (const [path, text] of files) {
    const kind = KINDS.find(({ matches }) => matches.test(path));
    if (kind === undefined) continue;
    try {
      for (const one of kind.read(text, path, distribution)) {
        const key = `${one.ecosystem} ${one.name} ${one.version}`;
        if (!found.has(key)) found.set(key, one);
      }
    } catch (error) {
      // What a package left broken must not hide all others; it is named in the SBOM.
      if (!(error instanceof SyntaxError)) throw error;
      unreadable.push(path);
    }
  }
  const packages = [...found.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
  return { packages, unreadable };
}

function distributionOf(files: ReadonlyMap<string, string>): string | undefined {
  for (const [path, text] of files) {
    if (!OS_RELEASE.test(path)) continue;
    const value = (key: string): string | undefined =>
      new RegExp(`^${key}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1];
    const id = value('ID');
    const version = value('VERSION_ID');
    if (id !== undefined) return version === undefined ? id : `${id}-${version}`;
  }
  return undefined;
}

function npmPackage(text: string, path: string): Package[] {
  const { name, version, license } = asRecord(JSON.parse(text));
  if (typeof name !== 'string' || typeof version !== 'string' || version === '') return [];
  const licence = typeof license === 'string' ? { licence: license } : {};
  return [{ ecosystem: 'npm', name, version, foundIn: path, ...licence }];
}

/** Versions 2 and 3 name every package by its place; version 1 nests them. */
function npmLock(text: string, path: string): Package[] {
  const { packages, dependencies } = asRecord(JSON.parse(text));
  const found: Package[] = [];
  for (const [place, value] of Object.entries(asRecord(packages))) {
    const { version, dev, link, name } = asRecord(value);
    const own = typeof name === 'string' ? name : place.slice(place.lastIndexOf('node_modules/') + 13);
    if (!place.includes('node_modules/') || dev === true || link === true || typeof version !== 'string')
      continue;
    found.push({ ecosystem: 'npm', name: own, version, foundIn: path });
  }
  if (packages === undefined) npmLockV1(asRecord(dependencies), path, found);
  return found;
}

function npmLockV1(dependencies: Readonly<Record<string, unknown>>, path: string, found: Package[]): void {
  for (const [name, value] of Object.entries(dependencies)) {
    const { version, dev, dependencies: inner } = asRecord(value);
    if (dev === true || typeof version !== 'string') continue;
    found.push({ ecosystem: 'npm', name, version, foundIn: path });
    npmLockV1(asRecord(inner), path, found);
  }
}

function dpkgStatus(text: string, path: string, distribution: string | undefined): Package[] {
  return text.split(/\n\s*\n/).flatMap((stanza): Package[] => {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(stanza)?.[1]?.trim();
    const name = field('Package');
    const version = field('Version');
    const status = field('Status');
    const isInstalled = status === undefined || / installed$/.test(status);
    if (name === undefined || version === undefined || !isInstalled) return [];
    const arch = field('Architecture');
    // `Source: glibc` or `Source: gcc-12 (12.2.0-14)`; absent: the package's own name.
    const [, source = name, sourceVersion = version] =
      /^(\S+)(?:\s+\((\S+)\))?$/.exec(field('Source') ?? '') ?? [];
    return [
      {
        ecosystem: 'deb',
        name,
        version,
        source: { name: source, version: sourceVersion },
        ...(arch === undefined ? {} : { arch }),
        ...(distribution === undefined ? {} : { distribution }),
        foundIn: path,
      },
    ];
  });
}

function pythonMetadata(text: string, path: string): Package[] {
  const head = text.split(/\r?\n\r?\n/, 1)[0] ?? '';
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:[ \\t]*(.*)$`, 'mi').exec(head)?.[1]?.trim();
  const name = field('Name');
  const version = field('Version');
  if (name === undefined || version === undefined) return [];
  const licence = field('License-Expression') ?? field('License');
  const known = licence !== undefined && licence !== '' && licence !== 'UNKNOWN' && licence.length < 100;
  return [{ ecosystem: 'pypi', name, version, foundIn: path, ...(known ? { licence } : {}) }];
}

/** Lines of four blanks below `specs:` are what is resolved; deeper ones are what these ask for. */
function gemfileLock(text: string, path: string): Package[] {
  const found: Package[] = [];
  for (const [, name = '', version = ''] of text.matchAll(/^ {4}(\S+) \(([^)\s]+)\)\r?$/gm)) {
    // `nokogiri (1.16.0-x86_64-linux)`: the platform is no part of the version.
    found.push({ ecosystem: 'gem', name, version: version.replace(/-.*$/, ''), foundIn: path });
  }
  return found;
}

/** Every module is named twice: itself, and its go.mod alone, which is also there for what is not used. */
function goSum(text: string, path: string): Package[] {
  const found: Package[] = [];
  for (const [, name = '', version = ''] of text.matchAll(/^(\S+) (v[^\s/]+) h1:\S+$/gm)) {
    found.push({ ecosystem: 'golang', name, version, foundIn: path });
  }
  return found;
}

function composerLock(text: string, path: string): Package[] {
  const { packages } = asRecord(JSON.parse(text));
  return (Array.isArray(packages) ? packages : []).flatMap((value: unknown): Package[] => {
    const { name, version } = asRecord(value);
    if (typeof name !== 'string' || typeof version !== 'string') return [];
    return [{ ecosystem: 'composer', name, version: version.replace(/^v(?=\d)/, ''), foundIn: path }];
  });
}

function cargoLock(text: string, path: string): Package[] {
  return text.split('[[package]]').flatMap((stanza): Package[] => {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name} = "([^"]*)"$`, 'm').exec(stanza)?.[1];
    const [name, version, source] = [field('name'), field('version'), field('source')];
    // Without a source it is the project itself.
    if (name === undefined || version === undefined || source === undefined) return [];
    return [{ ecosystem: 'cargo' satisfies Ecosystem, name, version, foundIn: path }];
  });
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
