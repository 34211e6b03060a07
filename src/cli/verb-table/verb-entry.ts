/** How a verb is called and what `--help` says of it. */
import type { Verb } from '../context.ts';

export interface VerbEntry {
  readonly name: string;
  /** As commander reads them: `<needed>`, `[optional]`. */
  readonly args: string;
  readonly summary: string;
  /** What its first argument may be, where that is not a name. */
  readonly actions?: readonly (readonly [call: string, what: string])[];
  readonly options: readonly (readonly [flags: string, description: string, repeated?: 'repeated'])[];
  readonly example: string;
  /** What the first Ctrl-C does, where it does more than end the command. */
  readonly interrupt?: string;
  readonly load: () => Promise<{ readonly run: Verb }>;
}

export const STATE = ['--state <dir>', 'state directory (KILN_STATE; default ~/.kiln)'] as const;
export const DETACH = ['--detach', 'do not wait for the end'] as const;
