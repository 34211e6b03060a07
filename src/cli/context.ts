/** What a verb is given to do its work with. */
import type { Client } from '../api/client.ts';
import { EXIT } from '../api/failures.ts';
import { KilnError } from '../domain/errors.ts';
import type { Environment } from './environment.ts';
import type { Progress } from './progress.ts';
import type { Questions } from './questions.ts';
import type { Terminal } from './terminal.ts';

export type Flags = Readonly<Record<string, unknown>>;

export interface Context {
  readonly args: readonly string[];
  readonly flags: Flags;
  readonly env: Environment;
  readonly stateDirectory: string;
  /** The file that `node` runs as the server. */
  readonly serverEntry: string;
  /** The `package.json` that this belongs to. */
  readonly packageFile: string;
  readonly terminal: Terminal;
  readonly progress: Progress;
  readonly json: boolean;
  readonly stdin: AsyncIterable<string | Buffer> & { readonly isTTY?: boolean };
  /** Absent where nobody can be asked: no terminal, `--json`, CI. */
  readonly questions?: () => Promise<Questions>;
  readonly now: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Aborted by the first Ctrl-C (or SIGTERM); the second ends the process at once. */
  readonly signal: AbortSignal;
  /** What to do, and to say, when the first Ctrl-C comes from here on; the newest wins. */
  onInterrupt(answer: () => Promise<string> | string, exitCode?: number): void;
  client(): Client;
}

/** Resolves with the exit code. */
export type Verb = (context: Context) => Promise<number>;

/** The answer: as JSON where asked for, else as `text` says it. */
export function answer(context: Context, value: unknown, text: () => string | undefined): number {
  const shown = context.json ? JSON.stringify(value, null, 2) : text();
  if (shown !== undefined) context.terminal.out(shown);
  return EXIT.ok;
}

/** The next step, for people. */
export function hint(context: Context, text: string): void {
  if (!context.json) context.terminal.err(context.terminal.colors.dim(`→ ${text}`));
}

export function textFlag(flags: Flags, name: string): string | undefined {
  const value = flags[name];
  return typeof value === 'string' ? value : undefined;
}

/** Of an option that may be given several times. */
export function textsFlag(flags: Flags, name: string): readonly string[] {
  const value: unknown = flags[name];
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

export function isSet(flags: Flags, name: string): boolean {
  return flags[name] === true;
}

export function numberFlag(flags: Flags, name: string, flag: string): number | undefined {
  const text = textFlag(flags, name);
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new KilnError('input.invalid', `"${text}" is not a number for ${flag}.`, {
    next: 'Give a whole number.',
    faults: [{ path: flag, message: 'is not a whole number', found: text }],
  });
}

export function choiceFlag<Choice extends string>(
  flags: Flags,
  name: string,
  flag: string,
  choices: readonly Choice[],
): Choice | undefined {
  const text = textFlag(flags, name);
  if (text === undefined) return undefined;
  const chosen = choices.find((choice) => choice === text);
  if (chosen !== undefined) return chosen;
  throw new KilnError('input.invalid', `"${text}" is not possible for ${flag}.`, {
    next: `Choose ${choices.join(', ')}.`,
    faults: [{ path: flag, message: 'is not one of the choices', found: text, expected: choices.join(', ') }],
  });
}
