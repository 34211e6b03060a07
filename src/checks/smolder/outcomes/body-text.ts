import { excerpt } from '../excerpt.ts';
import type { Field } from '../source.ts';
import { failed, type Outcome, passed } from '../test-file.ts';

/** One text, or a list of texts that are each looked for. */
function texts(field: Field): readonly string[] {
  const items = field.isList ? (field.items() ?? []) : [field];
  if (items.length === 0) field.fault(`"${field.key}" has no text to look for.`);
  return items.flatMap((item) => item.text() ?? []);
}

export function readBodyContains(field: Field): Outcome {
  const name = field.key;
  const wanted = texts(field);
  return {
    name,
    check(answer) {
      if (answer.kind !== 'http') return [];
      return wanted.map((text) =>
        answer.body.includes(text)
          ? passed(name, `Body contains "${text}"`)
          : failed(name, `"${excerpt(answer.mask(answer.body))}" does not contain "${text}"`),
      );
    },
  };
}

export function readBodyDoesntContain(field: Field): Outcome {
  const name = field.key;
  const banned = texts(field);
  return {
    name,
    check(answer) {
      if (answer.kind !== 'http') return [];
      return banned.map((text) =>
        answer.body.includes(text)
          ? failed(name, `Body contains "${text}" and shouldn't`)
          : passed(name, `Body doesn't contain "${text}"`),
      );
    },
  };
}
