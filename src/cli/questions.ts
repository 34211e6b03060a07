/** Questions to whoever sits at the terminal: on stderr, so that stdout stays the answer's. */
import { createInterface } from 'node:readline/promises';
import { KilnError } from '../domain/errors.ts';

export interface Questions {
  /** The line that is typed, without spaces around it. Tab completes it to one of the words. */
  ask(prompt: string, words?: readonly string[]): Promise<string>;
  /** What is to be read before the next question. */
  say(text: string): void;
  /** Leaves the terminal as it was. */
  close(): void;
}

/** The end of the input (Ctrl-D) is no answer: fails with `aborted`. Ctrl-C is left to whoever waits for SIGINT. */
export function openQuestions(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  signal: AbortSignal,
): Questions {
  let known: readonly string[] = [];
  const lines = createInterface({
    input,
    output,
    terminal: true,
    historySize: 0,
    completer: (typed: string): [string[], string] => [known.filter((word) => word.startsWith(typed)), typed],
  });
  const ended = new Promise<never>((_resolve, reject) => {
    lines.once('close', () => {
      reject(new KilnError('aborted', 'The questions were left without an answer: nothing was started.'));
    });
  });
  // Nobody may be asking when it is closed.
  ended.catch(() => undefined);
  lines.on('SIGINT', () => {
    output.write('\n');
    // In raw mode the terminal sends none by itself.
    process.kill(process.pid, 'SIGINT');
  });
  return {
    async ask(prompt, words = []) {
      known = words;
      try {
        return (await Promise.race([lines.question(prompt, { signal }), ended])).trim();
      } catch (error) {
        // The cursor stands behind the question.
        if (!signal.aborted) output.write('\n');
        throw error;
      }
    },
    say: (text) => void output.write(`${text}\n`),
    close: () => lines.close(),
  };
}
