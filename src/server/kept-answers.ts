/** Answers that are work to find: whoever asks again while one is known, or being found, gets that one. */
import type { Clock } from '../domain/ports/clock.ts';

export interface Keeping {
  /** How long an answer holds; Infinity where it never changes. */
  readonly answerMs: number;
  /** How long a failure is answered again before another attempt. */
  readonly failureMs: number;
  /** Beyond them, the oldest are forgotten. */
  readonly most: number;
}

interface Kept<Value> {
  readonly answer: Promise<Value>;
  untilMs: number;
}

export class KeptAnswers<Value> {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #keeping: Keeping;
  readonly #kept = new Map<string, Kept<Value>>();

  constructor(clock: Pick<Clock, 'monotonic'>, keeping: Keeping) {
    this.#clock = clock;
    this.#keeping = keeping;
  }

  /** Fails as `find` does. */
  get(question: string, find: () => Promise<Value>): Promise<Value> {
    const { answerMs, failureMs, most } = this.#keeping;
    const known = this.#kept.get(question);
    if (known !== undefined && this.#clock.monotonic() < known.untilMs) return known.answer;
    const kept = { answer: find(), untilMs: Number.POSITIVE_INFINITY };
    this.#kept.delete(question);
    this.#kept.set(question, kept);
    const holdsFor = (ms: number) => () => {
      kept.untilMs = this.#clock.monotonic() + ms;
    };
    kept.answer.then(holdsFor(answerMs), holdsFor(failureMs));
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= most) break;
      this.#kept.delete(oldest);
    }
    return kept.answer;
  }
}
