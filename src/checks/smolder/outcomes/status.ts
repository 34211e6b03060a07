import type { Field } from '../source.ts';
import { failed, type Outcome, passed } from '../test-file.ts';

const NAME = 'expect_status_code';
const IMPLIED_STATUS = 200;

/** Without a field: the status that every HTTP test implies. */
export function readStatusOutcome(field: Field | undefined): Outcome {
  const expected = field === undefined ? IMPLIED_STATUS : field.integer(100, 599);
  return {
    name: NAME,
    check(answer) {
      if (answer.kind !== 'http' || expected === undefined) return [];
      return answer.status === expected
        ? [passed(NAME, `Status code == ${expected}`)]
        : [failed(NAME, `Expecting status code ${expected} but got ${answer.status} instead`)];
    },
  };
}
