/** Reads the Test Anything Protocol as `bats --tap` writes it. Pure; https://testanything.org gives the rules. */

interface TapTest {
  readonly number: number;
  readonly passed: boolean;
  readonly description: string;
  /** The `#` lines that follow it. */
  readonly diagnostics: readonly string[];
}

export interface TapReport {
  /** From `1..n`; absent when that line was not among those read. */
  readonly planned?: number;
  readonly tests: readonly TapTest[];
  readonly bailOut?: string;
}

/** Skipped tests, and failing ones marked TODO, count as passed. */
export function parseTap(lines: readonly string[]): TapReport {
  const tests: (TapTest & { diagnostics: string[] })[] = [];
  let planned: number | undefined;
  let bailOut: string | undefined;
  for (const line of lines) {
    const plan = /^1\.\.(\d+)/.exec(line);
    const test = /^(not )?ok\b\s*(\d+)?\s*(?:- )?(.*)$/.exec(line);
    const bail = /^Bail out!\s*(.*)$/.exec(line);
    const diagnostic = /^\s*#\s?(.*)$/.exec(line);
    if (plan) planned = Number(plan[1]);
    else if (bail) bailOut = bail[1] || 'no reason given';
    else if (diagnostic) tests.at(-1)?.diagnostics.push(diagnostic[1] ?? '');
    else if (test) {
      const text = test[3] ?? '';
      const excused = /(^|\s)#\s*(skip|todo)\b/i.test(text);
      tests.push({
        number: test[2] === undefined ? (tests.at(-1)?.number ?? 0) + 1 : Number(test[2]),
        passed: test[1] === undefined || excused,
        description: text.replace(/\s*#\s*(skip|todo)\b.*$/i, ''),
        diagnostics: [],
      });
    }
  }
  return {
    tests,
    ...(planned === undefined ? {} : { planned }),
    ...(bailOut === undefined ? {} : { bailOut }),
  };
}
