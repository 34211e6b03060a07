/** The component's own tests, run inside the image beside the instance that was booted for the check. */
import { KilnError } from '../domain/errors.ts';
import type { Fence } from '../domain/ids.ts';
import type { CheckTarget } from '../domain/ports/check-target.ts';
import type { RunOnceResult } from '../domain/ports/target.ts';
import type { GroupSpec } from '../domain/server-group.ts';
import type { Findings } from './check-result.ts';
import { parseTap } from './tap.ts';

const LIST_TIMEOUT_MS = 60_000;
const FILE_TIMEOUT_MS = 10 * 60_000;
const FOUND = 'kiln-test-file ';
/** Fewer than the lines that any target keeps of a run's output. */
const LIST_PAGE = 40;
/** Exit codes of the prelude to bats; bats itself ends with 0 or 1. */
const NO_BASH = 120;
const NO_BATS = 121;
const NO_TEMP = 122;
const DIAGNOSTIC_LINES = 10;

export interface InImageRun {
  readonly patterns: readonly string[];
  /** Its environment holds BASE_URL when there is something to ask. */
  readonly spec: GroupSpec;
  readonly target: CheckTarget;
  readonly fence: Fence;
  /** Targets remember a run by its key: with this in it, no earlier check's result is taken for this one's. */
  readonly checkId: string;
  readonly signal: AbortSignal;
}

/** Each file is a run of its own. A pattern that fits no file is a failure, never a pass. */
export async function runInImageTests(run: InImageRun): Promise<readonly Findings[]> {
  const findings: Findings[] = [];
  for (const pattern of run.patterns) {
    const files = await filesOf(pattern, run);
    if (files.length === 0)
      findings.push({ passedCount: 0, failures: [`${pattern}: no such file in the image`] });
    for (const file of files) findings.push(await runFile(file, run));
  }
  return findings;
}

async function filesOf(pattern: string, run: InImageRun): Promise<readonly string[]> {
  const normal = pattern.replace(/^\.\//, '');
  const fits = globExpression(normal);
  const files: string[] = [];
  for (let page = 0; ; page++) {
    const result = await inImage(run, listCommand(normal, page), `list ${page} ${normal}`, LIST_TIMEOUT_MS);
    if (result.exitCode !== 0) {
      throw new KilnError('check.failed', `The files for "${pattern}" cannot be listed inside the image.`, {
        next: `Read its last lines: ${result.logTail.slice(-3).join(' | ')}`,
      });
    }
    const found = result.logTail.flatMap((line) =>
      line.startsWith(FOUND) ? [line.slice(FOUND.length)] : [],
    );
    files.push(...found.map((file) => file.replace(/^\.\//, '')).filter((file) => fits.test(file)));
    if (found.length < LIST_PAGE) return files;
  }
}

/** `find` knows `*` also across slashes: it gives a superset, which is then sifted. Only log tails come back: pages. */
export function listCommand(pattern: string, page: number): string {
  const literal = pattern.split('/');
  const wild = literal.findIndex((part) => /[*?[\]{}]/.test(part));
  const root = (wild < 0 ? literal.slice(0, -1) : literal.slice(0, wild)).join('/');
  const superset = pattern.replaceAll('**/', '*').replace(/\{[^}]*\}/g, '*');
  const folder = shellWord(`./${root}`);
  const lines = `${page * LIST_PAGE + 1},${(page + 1) * LIST_PAGE}`;
  const path = shellWord(`./${superset}`);
  return [
    `[ -d ${folder} ] || exit 0`,
    'if { command -v find && command -v sort && command -v sed; } >/dev/null; then',
    `  find ${folder} -type f -path ${path} | LC_ALL=C sort | sed -n '${lines}s|^|${FOUND}|p'`,
    'else',
    ...shellWalk(shellWord(root === '' ? '.' : `./${root}`), path, page),
    'fi',
  ].join('\n');
}

/** A small container has a shell and nothing else: the shell itself walks, which is slower. */
function shellWalk(folder: string, path: string, page: number): string[] {
  const onPage = `[ $n -le ${page * LIST_PAGE} ] || [ $n -gt ${(page + 1) * LIST_PAGE} ]`;
  return [
    `  LC_ALL=C; n=0; fits=${path}`,
    '  walk() { for entry in "$1"/* "$1"/.[!.]*; do',
    '    if [ -L "$entry" ]; then :; elif [ -d "$entry" ]; then walk "$entry"; elif [ -f "$entry" ]; then',
    '      case "$entry" in $fits) n=$((n + 1));',
    `        ${onPage} || printf '%s%s\\n' ${shellWord(FOUND)} "$entry" ;; esac`,
    '    fi',
    '  done; }',
    `  walk ${folder}`,
  ];
}

/** `*` and `?` stay within a folder, `**` does not; `{a,b}` and `[a-z]` as in a shell. */
export function globExpression(glob: string): RegExp {
  const tokens = glob.matchAll(/\*\*\/|\*\*|\*|\?|\{([^{}]*)\}|\[(!?)([^\]]+)\]|[\s\S]/g);
  const parts = [...tokens].map(([token, choices, negated, characters]) => {
    if (token === '**/') return '(?:.*/)?';
    if (token === '**') return '.*';
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (choices !== undefined) return `(?:${choices.split(',').map(literally).join('|')})`;
    if (characters !== undefined) {
      return `[${negated ? '^' : ''}${characters.replace(/[\\\]^]/g, '\\$&')}]`;
    }
    return literally(token);
  });
  return new RegExp(`^${parts.join('')}$`);
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

async function runFile(file: string, run: InImageRun): Promise<Findings> {
  const isBats = file.endsWith('.bats');
  const command = isBats ? batsCommand(file) : scriptCommand(file);
  const result = await inImage(run, command, file, FILE_TIMEOUT_MS);
  return isBats ? batsFindings(file, result) : scriptFindings(file, result);
}

/** By its own first line when it may be executed, else by sh. */
export function scriptCommand(file: string): string {
  const word = shellWord(`./${file}`);
  return `if [ -x ${word} ]; then exec ${word}; else exec sh ${word}; fi`;
}

/** bats from the component's own node_modules goes before that of the system. */
export function batsCommand(file: string): string {
  return [
    'PATH="$PWD/node_modules/.bin:$PATH"; export PATH',
    `command -v bash >/dev/null 2>&1 || exit ${NO_BASH}`,
    `command -v bats >/dev/null 2>&1 || exit ${NO_BATS}`,
    '[ -n "$TMPDIR" ] || TMPDIR=/tmp; export TMPDIR; probe="$TMPDIR/.kiln-probe-$$"',
    `{ (: >"$probe") 2>/dev/null && rm -f "$probe"; } || exit ${NO_TEMP}`,
    `exec bats --tap ${shellWord(`./${file}`)}`,
  ].join('\n');
}

export function batsFindings(file: string, { exitCode, logTail }: RunOnceResult): Findings {
  if (exitCode === NO_BASH || exitCode === NO_BATS) {
    const tool = exitCode === NO_BASH ? 'bash' : 'bats';
    throw new KilnError('tool.missing', `${file} needs ${tool}, which is not to be found inside the image.`, {
      next: `Install ${tool} (the Debian package ${tool}${tool === 'bats' ? ', or the npm package bats in the component' : ''}) and check again.`,
      details: { tool },
    });
  }
  if (exitCode === NO_TEMP) {
    throw new KilnError(
      'image.unfit',
      `${file} needs a folder for temporary files, and none can be written to.`,
      {
        next: 'Let the image write to /tmp, or set TMPDIR to a folder that it may write to.',
      },
    );
  }
  const report = parseTap(logTail);
  const failures = report.tests
    .filter((test) => !test.passed)
    .map((test) => {
      const detail = test.diagnostics.slice(0, DIAGNOSTIC_LINES).join(' | ');
      return `${file}: ${test.description}${detail === '' ? '' : `: ${detail}`}`;
    });
  if (report.bailOut !== undefined) failures.push(`${file}: bailed out: ${report.bailOut}`);
  // The log's beginning may be cut off: the exit code has the last word, and the plan the count.
  if (exitCode !== 0 && failures.length === 0) failures.push(endedBadly(file, { exitCode, logTail }));
  const seen = report.tests.filter((test) => test.passed).length;
  const total = report.planned ?? report.tests.at(-1)?.number ?? 0;
  const passedCount = exitCode === 0 ? Math.max(seen, total) : seen;
  if (exitCode === 0 && passedCount === 0) failures.push(`${file}: has no tests`);
  return { passedCount, failures };
}

export function scriptFindings(file: string, result: RunOnceResult): Findings {
  return result.exitCode === 0
    ? { passedCount: 1, failures: [] }
    : { passedCount: 0, failures: [endedBadly(file, result)] };
}

function endedBadly(file: string, { exitCode, logTail }: RunOnceResult): string {
  const tail = logTail.slice(-DIAGNOSTIC_LINES).join(' | ');
  return `${file}: ended with exit code ${exitCode}${tail === '' ? '' : `: ${tail}`}`;
}

/** A run that its time limit ended is a failed test file like any other. */
async function inImage(
  run: InImageRun,
  command: string,
  what: string,
  timeoutMs: number,
): Promise<RunOnceResult> {
  const key = `${run.spec.group} ${run.checkId} ${what}`;
  try {
    return await run.target.runOnce(run.spec, command, key, run.fence, timeoutMs, run.signal);
  } catch (thrown) {
    if (thrown instanceof KilnError && thrown.code === 'timeout') {
      return { exitCode: 124, logTail: [`not done within ${timeoutMs}ms`] };
    }
    throw thrown;
  }
}

/** One word for /bin/sh, whatever is in it. */
function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
