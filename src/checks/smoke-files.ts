/** The component's own check files, as they were baked with the image. */
import { KilnError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports/clock.ts';
import { type Findings, smokeFindings } from './check-result.ts';
import type { CheckAddress } from './smolder/address.ts';
import { parseCheckFile } from './smolder/parse.ts';
import { runChecks } from './smolder/run.ts';
import type { SmokeTest } from './smolder/test-file.ts';

export interface SmokeFile {
  readonly path: string;
  readonly tests: readonly SmokeTest[];
}

/** Fails with `check.invalid` before anything is started. `texts`: relative path → content. */
export function parseSmokeFiles(
  paths: readonly string[],
  texts: Readonly<Record<string, string>>,
): readonly SmokeFile[] {
  return paths.map((path) => {
    const text = Object.hasOwn(texts, path) ? texts[path] : undefined;
    if (text === undefined) {
      throw new KilnError('check.invalid', `The check file ${path} was not kept with the image.`, {
        next: `Add ${path} to the component, or take it out of "checks", and bake again.`,
        details: { reason: 'unreadable' },
      });
    }
    return { path, tests: parseCheckFile(text, path) };
  });
}

export interface SmokeRunOptions {
  readonly address: CheckAddress;
  readonly waitMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Files one after another: a later one may count on what an earlier one did. */
export async function runSmokeFiles(
  files: readonly SmokeFile[],
  options: SmokeRunOptions,
): Promise<readonly Findings[]> {
  const findings: Findings[] = [];
  for (const file of files) {
    findings.push(smokeFindings(file.path, await runChecks({ tests: file.tests, ...options })));
  }
  return findings;
}
