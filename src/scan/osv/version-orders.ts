/** How each ecosystem orders its versions. Pure. Every comparison gives a negative number, zero, or a positive one. */

export type CompareVersions = (a: string, b: string) => number;

/** Names of ecosystems as OSV has them, without what follows a colon (`Debian:12`). */
const ORDERS: Readonly<Record<string, CompareVersions>> = {
  npm: compareSemver,
  Go: compareSemver,
  'crates.io': compareSemver,
  PyPI: comparePypi,
  Debian: compareDebian,
  Ubuntu: compareDebian,
  RubyGems: compareGem,
};

/** Undefined: Kiln does not know the order, and only versions that an advisory lists one by one can be matched. */
export function orderOf(ecosystem: string): CompareVersions | undefined {
  return ORDERS[ecosystem.split(':')[0] ?? ''];
}

/** Semantic Versioning 2.0.0, item 11. What is no number counts as a text. */
export function compareSemver(a: string, b: string): number {
  const [left, right] = [semverParts(a), semverParts(b)];
  const numbers = compareLists(left.release, right.release, compareNumeric, '0');
  if (numbers !== 0) return numbers;
  if (left.pre === undefined || right.pre === undefined) {
    return (left.pre === undefined ? 1 : 0) - (right.pre === undefined ? 1 : 0);
  }
  for (const [index, one] of left.pre.entries()) {
    const other = right.pre[index];
    if (other === undefined) return 1;
    const order = compareIdentifiers(one, other);
    if (order !== 0) return order;
  }
  return left.pre.length - right.pre.length;
}

function semverParts(version: string): { release: string[]; pre: string[] | undefined } {
  const plain = version.trim().replace(/^v/, '').replace(/\+.*$/, '');
  const dash = plain.indexOf('-');
  const release = (dash === -1 ? plain : plain.slice(0, dash)).split('.');
  return { release, pre: dash === -1 ? undefined : plain.slice(dash + 1).split('.') };
}

function compareIdentifiers(a: string, b: string): number {
  const [left, right] = [isNumber(a), isNumber(b)];
  if (left && right) return compareNumeric(a, b);
  return left === right ? compareText(a, b) : left ? -1 : 1;
}

/** As `dpkg --compare-versions` (deb-version(7)): epoch, upstream version, Debian revision. */
export function compareDebian(a: string, b: string): number {
  const [left, right] = [debianParts(a), debianParts(b)];
  return (
    compareNumeric(left.epoch, right.epoch) ||
    compareDebianPart(left.upstream, right.upstream) ||
    compareDebianPart(left.revision, right.revision)
  );
}

function debianParts(version: string): { epoch: string; upstream: string; revision: string } {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf('-');
  return {
    epoch: colon === -1 ? '0' : version.slice(0, colon),
    upstream: dash === -1 ? rest : rest.slice(0, dash),
    // No revision is the same as revision 0.
    revision: dash === -1 ? '0' : rest.slice(dash + 1),
  };
}

/** In turn what is no digit, by Debian's order of characters, and what is, as numbers. */
function compareDebianPart(a: string, b: string): number {
  let [left, right] = [a, b];
  while (left !== '' || right !== '') {
    const [words, others] = [/^\D*/.exec(left)?.[0] ?? '', /^\D*/.exec(right)?.[0] ?? ''];
    for (let at = 0; at < Math.max(words.length, others.length); at += 1) {
      const order = debianWeight(words[at]) - debianWeight(others[at]);
      if (order !== 0) return order;
    }
    [left, right] = [left.slice(words.length), right.slice(others.length)];
    const [number, other] = [/^\d*/.exec(left)?.[0] ?? '', /^\d*/.exec(right)?.[0] ?? ''];
    const order = compareNumeric(number, other);
    if (order !== 0) return order;
    [left, right] = [left.slice(number.length), right.slice(other.length)];
  }
  return 0;
}

/** The tilde comes before even the end; letters before all else. */
function debianWeight(character: string | undefined): number {
  if (character === undefined) return 0;
  if (character === '~') return -1;
  return /[A-Za-z]/.test(character) ? character.charCodeAt(0) : character.charCodeAt(0) + 256;
}

const PEP440 =
  /^v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?(\d*))?(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d*))?(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$/;

/** As PEP 440 has it; what is no such version comes before all that are. */
export function comparePypi(a: string, b: string): number {
  const [left, right] = [pypiKey(a), pypiKey(b)];
  if (left === undefined || right === undefined) {
    if (left === right) return compareText(a, b);
    return left === undefined ? -1 : 1;
  }
  return (
    compareNumeric(left.epoch, right.epoch) ||
    compareLists(left.release, right.release, compareNumeric, '0') ||
    left.pre[0] - right.pre[0] ||
    compareNumeric(left.pre[1], right.pre[1]) ||
    left.post[0] - right.post[0] ||
    compareNumeric(left.post[1], right.post[1]) ||
    left.dev[0] - right.dev[0] ||
    compareNumeric(left.dev[1], right.dev[1]) ||
    compareLocal(left.local, right.local)
  );
}

type Stage = readonly [rank: number, number: string];

interface PypiKey {
  readonly epoch: string;
  readonly release: readonly string[];
  readonly pre: Stage;
  readonly post: Stage;
  readonly dev: Stage;
  readonly local: readonly string[];
}

function pypiKey(version: string): PypiKey | undefined {
  const match = PEP440.exec(version.trim().toLowerCase());
  if (match === null) return undefined;
  const [, epoch = '0', release = '', stage, stageNumber, dashPost, post, postNumber, dev, devNumber, local] =
    match;
  const isPost = post !== undefined || dashPost !== undefined;
  // A development release of nothing but a release comes before its pre-releases.
  const none = dev !== undefined && !isPost ? -1 : 9;
  const rank = stage === undefined ? none : stage.startsWith('a') ? 0 : stage.startsWith('b') ? 1 : 2;
  return {
    epoch,
    release: release.split('.'),
    pre: [rank, stageNumber || '0'],
    post: [isPost ? 1 : 0, dashPost ?? (postNumber || '0')],
    dev: [dev === undefined ? 1 : 0, devNumber || '0'],
    local: local?.split(/[-_.]/) ?? [],
  };
}

/** A number comes after a text here, and a longer one after a shorter. */
function compareLocal(a: readonly string[], b: readonly string[]): number {
  for (const [index, one] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    const order = isNumber(one) === isNumber(other) ? compareIdentifiers(one, other) : isNumber(one) ? 1 : -1;
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** As RubyGems: segments of digits and of letters, the letters before any number. */
export function compareGem(a: string, b: string): number {
  const segments = (version: string): string[] =>
    version
      .replace(/-/g, '.pre.')
      .match(/\d+|[a-z]+/gi)
      ?.slice() ?? ['0'];
  return compareLists(
    segments(a),
    segments(b),
    (one, other) => {
      if (isNumber(one) === isNumber(other)) return compareIdentifiers(one, other);
      return isNumber(one) ? 1 : -1;
    },
    '0',
  );
}

/** The shorter is filled up. */
function compareLists(
  a: readonly string[],
  b: readonly string[],
  compare: CompareVersions,
  filler: string,
): number {
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const order = compare(a[at] ?? filler, b[at] ?? filler);
    if (order !== 0) return order;
  }
  return 0;
}

/** Numbers of any length; what is none is compared as a text. */
function compareNumeric(a: string, b: string): number {
  const [left, right] = [a.replace(/^0+(?=\d)/, '') || '0', b.replace(/^0+(?=\d)/, '') || '0'];
  if (!isNumber(left) || !isNumber(right)) return compareText(left, right);
  return left.length - right.length || compareText(left, right);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}
