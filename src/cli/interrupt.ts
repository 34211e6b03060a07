/**
 * Ctrl-C (and SIGTERM). The first one lets the verb say what becomes of its work, and ends the command with 130;
 * a second one ends it at once.
 */
import { EXIT } from '../api/failures.ts';
import { asKilnError } from '../domain/errors.ts';
import type { Progress } from './progress.ts';
import type { Terminal } from './terminal.ts';

export interface Interruptible {
  readonly signal: AbortSignal;
  readonly onInterrupt: (answer: () => Promise<string> | string, exitCode?: number) => void;
  /** The verb's exit code, or 130 once it was interrupted and has said what it had to say. */
  orInterrupted(work: Promise<number>): Promise<number>;
  close(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export function interruptible(terminal: Terminal, progress: Progress, json: boolean): Interruptible {
  const controller = new AbortController();
  const { promise: interrupted, resolve } = Promise.withResolvers<number>();
  let answer: () => Promise<string> | string = () => 'interrupted';
  let exitCode: number = EXIT.interrupted;
  const say = async (): Promise<void> => {
    const text = await Promise.resolve()
      .then(() => answer())
      .catch((thrown: unknown) => `interrupted; ${asKilnError(thrown).message}`);
    if (!json) terminal.err(`${terminal.colors.yellow('■')} ${text}`);
    controller.abort();
    resolve(exitCode);
  };
  let times = 0;
  const listener = (): void => {
    times += 1;
    if (times > 1) process.exit(EXIT.interrupted);
    progress.close();
    void say();
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  return {
    signal: controller.signal,
    onInterrupt: (next, code = EXIT.interrupted) => {
      answer = next;
      exitCode = code;
    },
    async orInterrupted(work) {
      // Once interrupted, the work ends because it was cut off: its failure is no news.
      const guarded = work.catch((thrown: unknown) => {
        if (times > 0) return interrupted;
        throw thrown;
      });
      const code = await Promise.race([guarded, interrupted]);
      return times > 0 ? interrupted : code;
    },
    close() {
      for (const signal of SIGNALS) process.off(signal, listener);
    },
  };
}
