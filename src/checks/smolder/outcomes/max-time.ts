import type { Field } from '../source.ts';
import { failed, type Outcome, passed } from '../test-file.ts';

const ONE_DAY_MS = 86_400_000;

/** From the first byte sent to the last byte read, redirects included. */
export function readMaxTime(field: Field): Outcome {
  const name = field.key;
  const limitMs = field.integer(0, ONE_DAY_MS) ?? 0;
  return {
    name,
    check(answer) {
      const tookMs = Math.round(answer.durationMs);
      return tookMs > limitMs
        ? [failed(name, `Response time was ${tookMs - limitMs}ms longer than ${limitMs}ms max (${tookMs}ms)`)]
        : [passed(name, `Response time was ${limitMs - tookMs}ms shorter than max (${tookMs}ms)`)];
    },
  };
}
