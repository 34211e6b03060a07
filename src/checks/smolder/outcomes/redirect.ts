import { excerpt } from '../excerpt.ts';
import type { Field } from '../source.ts';
import { failed, type Outcome, passed } from '../test-file.ts';
import { readRegularExpression } from './regular-expression.ts';

/** The Location begins with the text, or matches it as a regular expression from its start. */
export function readRedirect(field: Field): Outcome {
  const name = field.key;
  const text = field.text() ?? '';
  const pattern = readRegularExpression(field);
  return {
    name,
    check(answer) {
      if (answer.kind !== 'http') return [];
      if (answer.status < 300 || answer.status > 309)
        return [failed(name, `Not being redirected: ${answer.status}`)];
      const location = answer.headers.get('location');
      if (location === undefined)
        return [failed(name, `Redirected (${answer.status}) without a Location header`)];
      return location.startsWith(text) || pattern?.exec(location)?.index === 0
        ? [passed(name, `Redirect to ${text}`)]
        : [failed(name, `Got redirected to ${excerpt(answer.mask(location))} instead of ${text}`)];
    },
  };
}
