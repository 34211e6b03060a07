/** A command at a real terminal: a pseudo one, which util-linux's `script` (Debian package bsdutils) makes. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import { until } from './kiln.ts';

export class TerminalSession {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #closed: Promise<unknown>;
  #shown = '';
  /** Of what is shown, all that was waited for. */
  #seen = 0;

  constructor(argv: readonly string[], environment: NodeJS.ProcessEnv, directory: string) {
    const command = argv.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    const { CI: _ci, ...rest } = environment;
    const env = { ...rest, TERM: 'xterm', SHELL: '/bin/sh' };
    this.#child = spawn('script', ['-qefc', command, '/dev/null'], { cwd: directory, env });
    this.#closed = once(this.#child, 'close');
    this.#child.stdout.on('data', (piece: Buffer) => {
      this.#shown += piece.toString();
    });
  }

  get shown(): string {
    return stripVTControlCharacters(this.#shown);
  }

  /** Types when the text is shown, after whatever was waited for before. */
  async answer(prompt: string, keys: string): Promise<void> {
    await until(`the terminal shows "${prompt}", and not only:\n${this.shown}`, async () => {
      const at = this.shown.indexOf(prompt, this.#seen);
      if (at !== -1) this.#seen = at + prompt.length;
      return at !== -1;
    });
    this.#child.stdin.write(keys);
  }

  /** Its exit code. */
  async ended(): Promise<number> {
    await this.#closed;
    return this.#child.exitCode ?? 1;
  }
}
