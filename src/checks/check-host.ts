/** What `kiln check HOST [FILE]` does without any server: reads a file, runs its tests, reports. */
import { readFile } from 'node:fs/promises';
import { KilnError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports/clock.ts';
import { parseHost } from './smolder/address.ts';
import { parseCheckFile } from './smolder/parse.ts';
import { reportJson } from './smolder/report-json.ts';
import { reportJunit } from './smolder/report-junit.ts';
import { reportHead, reportTail, reportTest } from './smolder/report-text.ts';
import { runChecks } from './smolder/run.ts';
import type { CheckFileFault } from './smolder/source.ts';

export type ReportFormat = 'text' | 'json' | 'junit';

export interface CheckHostOptions {
  readonly host: string;
  /** A path, or the text itself with a name for messages (standard input). */
  readonly file: { readonly path: string } | { readonly text: string; readonly name: string };
  readonly format: ReportFormat;
  readonly colour: boolean;
  readonly concurrency?: number;
  readonly retries?: number;
  readonly waitMs?: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The report, piece by piece as tests end. */
  readonly write: (text: string) => void;
}

/** Smolder's exit codes; 4 is not used, since what it stood for is a schema fault here. */
const CHECK_EXIT_CODES: Readonly<Record<CheckFileFault | 'passed' | 'failed', number>> = {
  passed: 0,
  failed: 1,
  empty: 2,
  'no-tests': 3,
  yaml: 5,
  unreadable: 6,
  schema: 7,
};

/** The exit code for an error of a check file; undefined for any other error. */
export function checkFileExitCode(error: KilnError): number | undefined {
  const reason = error.code === 'check.invalid' ? error.details.reason : undefined;
  if (typeof reason !== 'string' || !Object.hasOwn(CHECK_EXIT_CODES, reason)) return undefined;
  return CHECK_EXIT_CODES[reason as CheckFileFault];
}

/** Resolves with the exit code 0 or 1; a file that cannot be used is a `check.invalid` error with its own code. */
export async function checkHost(options: CheckHostOptions): Promise<number> {
  const address = parseHost(options.host);
  const name = 'path' in options.file ? options.file.path : options.file.name;
  const text = 'path' in options.file ? await readCheckFile(options.file.path) : options.file.text;
  const tests = parseCheckFile(text, name);
  const { format, write } = options;
  if (format === 'text') write(`${reportHead(tests.length)}\n`);
  const run = await runChecks({
    tests,
    address,
    clock: options.clock,
    signal: options.signal,
    readAuthorities: (path) => readFile(path, 'utf8'),
    ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
    ...(options.retries === undefined ? {} : { retries: options.retries }),
    ...(options.waitMs === undefined ? {} : { waitMs: options.waitMs }),
    ...(format === 'text' ? { onResult: (result) => write(`${reportTest(result, options.colour)}\n`) } : {}),
  });
  if (format === 'text') write(`${reportTail(run)}\n`);
  if (format === 'json') write(reportJson(run));
  if (format === 'junit') write(reportJunit(run, name));
  return run.failedCount === 0 ? CHECK_EXIT_CODES.passed : CHECK_EXIT_CODES.failed;
}

async function readCheckFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    throw new KilnError('check.invalid', `The check file ${path} cannot be read.`, {
      cause: thrown,
      next: 'Give the path of a file that exists and may be read.',
      details: { reason: 'unreadable' },
    });
  }
}
