/** The evidence of an approval as plain lines, for a terminal as for a chat: no colours, no markup. Pure. */
import type { Difference } from './difference.ts';
import type { CheckResult } from './image.ts';
import type { AskedRelease, KnownEvidence, Part, ReleaseEvidence, ScanEvidence } from './release-evidence.ts';
import { sizeText } from './size-text.ts';

/** Of each list; the rest is counted. */
const MOST_LINES = 20;
const MOST_LETTERS = 300;
const COMMIT_LETTERS = 12;

/** What is said, under what. */
type Row = readonly [about: string, text: string];

/** First what it is, then what speaks for and against it, indented. */
export function evidenceText(release: ReleaseEvidence): readonly string[] {
  if (!release.known)
    return [`${askedText(release.asked)}: nothing is known of it: ${release.why}`].map(printable);
  const rows = [...standing(release), ...changes(release)];
  return [headline(release), ...rows.map(([about, text]) => `  ${about.padEnd(9)} ${text}`)].map(printable);
}

/** Paths and logs come out of images: none of them draws on somebody's terminal. */
function printable(line: string): string {
  const text = line.replace(/\p{Cc}/gu, '\u{fffd}');
  return text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)}…` : text;
}

function askedText({ image, environment }: AskedRelease): string {
  return environment === undefined ? image : `${image} to ${environment}`;
}

function headline({ image, replaces }: KnownEvidence): string {
  const named = `${image.component} ${versionText(image)}`;
  switch (replaces.kind) {
    case 'unasked':
      return named;
    case 'nothing':
      return `${named} to ${replaces.environment}: nothing runs there yet`;
    case 'release': {
      const former = `${versionText(replaces)} of release ${replaces.number}`;
      const isSame = replaces.image === image.id;
      const now = replaces.stopped ? 'is stopped there' : 'serves there now';
      return `${named} to ${replaces.environment}: ${isSame ? 'the same image' : former} ${now}`;
    }
  }
}

function versionText({ version, commit }: Pick<KnownEvidence['image'], 'version' | 'commit'>): string {
  return commit === undefined ? version : `${version} (${commit.slice(0, COMMIT_LETTERS)})`;
}

function standing({ refused, checks, scan, channels }: KnownEvidence): readonly Row[] {
  return [
    ...(refused === undefined ? [] : [['refused', refused] as const]),
    ...(checks.length === 0 ? [['checks', 'it was never checked'] as const] : checks.flatMap(checkRows)),
    ...partRows<ScanEvidence>('scan', scan, (found) => {
      if (!found.scanned) return [['scan', 'it was never scanned']];
      const { passed, blocking, waived, noted } = found;
      const counts = `${blocking.count} not allowed, ${waived} waived, ${noted} noted`;
      return [
        ['scan', `${passed ? 'passed' : 'FAILED'}: ${counts}`],
        ...listed('', blocking.items, blocking.count),
      ];
    }),
    ['channels', channels.length === 0 ? 'none holds it' : channels.join(', ')],
  ];
}

function checkRows({ kind, where, passed, passedCount, failedCount, failures }: CheckResult): readonly Row[] {
  const counts = `${passedCount} passed, ${failedCount} failed`;
  return [
    ['check', `${kind} at ${where}: ${passed ? 'passed' : 'FAILED'} (${counts})`],
    ...failures.flatMap((failure) => failure.split('\n')).map((line): Row => ['', line]),
  ];
}

function changes(evidence: KnownEvidence): readonly Row[] {
  const { image, replaces, config, settings, inside, tags } = evidence;
  const before = replaces.kind === 'release' ? replaces.sizeBytes : undefined;
  const size = sizeText(image.sizeBytes);
  return [
    ...partRows('config', config, ({ added, removed, changed, files }) => {
      const keys = [
        ...added.map((key) => `added    ${key}`),
        ...removed.map((key) => `removed  ${key}`),
        ...changed.map((key) => `changed  ${key}`),
        ...files.map(({ path, change }) => `${change.padEnd(8)} ${path}`),
      ];
      return keys.length === 0 ? [['config', 'the same']] : listed('config', keys, keys.length);
    }),
    ...partRows('settings', settings, ({ items }) => [
      ...(items.length === 0 ? [['settings', 'the same'] as const] : []),
      ...differing('setting', items),
    ]),
    ['size', before === undefined ? size : `${sizeText(before)} → ${size}`],
    ...(tags === undefined ? [] : differing('tag', tags)),
    ...partRows('inside', inside, ({ packages, files }) => [
      ...(packages.count === 0 ? [['packages', 'the same'] as const] : []),
      ...differing('package', packages.items, packages.count),
      ...(files.count === 0 ? [['files', 'the same'] as const] : []),
      ...listed(
        'file',
        files.items.map(({ path, change }) => `${change.padEnd(8)} ${path}`),
        files.count,
      ),
    ]),
  ];
}

/** Nothing of what does not apply; why, of what could not be found out. */
function partRows<Value extends object>(
  about: string,
  part: Part<Value> | undefined,
  rows: (value: Value) => readonly Row[],
): readonly Row[] {
  if (part === undefined) return [];
  return part.known ? rows(part) : [[about, `not known: ${part.why}`]];
}

function differing(about: string, items: readonly Difference[], count = items.length): readonly Row[] {
  const texts = items.map(({ key, from, to }) => `${key}: ${from ?? '(none)'} → ${to ?? '(none)'}`);
  return listed(about, texts, count);
}

function listed(about: string, texts: readonly string[], count: number): readonly Row[] {
  const shown = texts.slice(0, MOST_LINES);
  const left = count - shown.length;
  return [
    ...shown.map((text): Row => [about, text]),
    ...(left > 0 ? [[about, `…and ${left} more`] as const] : []),
  ];
}
