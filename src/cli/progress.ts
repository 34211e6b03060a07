/**
 * Work under way. On a terminal one line is redrawn (spinner, what happens, how long already) and becomes a
 * settled line when it ends; elsewhere each beginning and end is a plain line. With `--json` nothing is written.
 */
import type { Terminal } from './terminal.ts';
import { durationText } from './time.ts';

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 80;

export type Mark = 'done' | 'same' | 'failed' | 'stopped';

export class Progress {
  readonly #terminal: Terminal;
  readonly #quiet: boolean;
  readonly #now: () => number;
  #text = '';
  #startedMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;

  constructor(terminal: Terminal, quiet: boolean, now: () => number) {
    this.#terminal = terminal;
    this.#quiet = quiet;
    this.#now = now;
  }

  begin(text: string): void {
    this.#stopDrawing();
    this.#text = text;
    this.#startedMs = this.#now();
    if (this.#quiet) return;
    if (!this.#terminal.live) {
      this.#terminal.err(`… ${text}`);
      return;
    }
    this.#timer = setInterval(() => this.#draw(), FRAME_MS);
    this.#timer.unref();
    this.#draw();
  }

  /** What happens now, within what has begun. */
  update(text: string): void {
    if (this.#quiet || text === this.#text) return;
    this.#text = text;
    if (this.#terminal.live) this.#draw();
    else this.#terminal.err(`  ${text}`);
  }

  /** A line that stays, such as one of a build's output. */
  line(text: string): void {
    if (this.#quiet) return;
    if (this.#terminal.live && this.#timer !== undefined) this.#terminal.redraw('');
    this.#terminal.err(text);
    if (this.#terminal.live && this.#timer !== undefined) this.#draw();
  }

  end(mark: Mark, text: string): void {
    const timed = this.#timer !== undefined || this.#startedMs > 0;
    const tookMs = this.#now() - this.#startedMs;
    this.#stopDrawing();
    this.#startedMs = 0;
    if (this.#quiet) return;
    const { colors } = this.#terminal;
    const took = timed && mark !== 'same' ? colors.dim(` (${durationText(tookMs)})`) : '';
    this.#terminal.err(`${this.#sign(mark)} ${text}${took}`);
  }

  /** Leaves the terminal as it should be, whatever was drawn. */
  close(): void {
    this.#stopDrawing();
  }

  #sign(mark: Mark): string {
    const { colors } = this.#terminal;
    if (mark === 'done') return colors.green('✓');
    if (mark === 'failed') return colors.red('✗');
    return mark === 'same' ? colors.dim('=') : colors.yellow('■');
  }

  #draw(): void {
    const { colors, columns } = this.#terminal;
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const elapsed = durationText(Math.floor((this.#now() - this.#startedMs) / 100) * 100);
    const room = Math.max(10, columns - elapsed.length - 6);
    const text = this.#text.length > room ? `${this.#text.slice(0, room - 1)}…` : this.#text;
    this.#terminal.redraw(`${colors.cyan(FRAMES[this.#frame] ?? '')} ${text} ${colors.dim(elapsed)}`);
  }

  #stopDrawing(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#terminal.redraw('');
  }
}
