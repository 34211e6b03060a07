import { excerpt } from '../excerpt.ts';
import { isSensitiveName, MASK } from '../secrets.ts';
import type { Field } from '../source.ts';
import {
  failed,
  type HttpAnswer,
  type Mask,
  type Outcome,
  type OutcomeResult,
  passed,
} from '../test-file.ts';
import { readRegularExpression } from './regular-expression.ts';

function shown(header: string, value: string, mask: Mask): string {
  return isSensitiveName(header) ? MASK : excerpt(mask(value));
}

interface FoundHeader {
  readonly name: string;
  readonly header: string;
  readonly actual: string;
  readonly mask: Mask;
}

type HeaderRule = (found: FoundHeader) => OutcomeResult;

function checkHeader(answer: HttpAnswer, name: string, header: string, rule: HeaderRule): OutcomeResult {
  const actual = answer.headers.get(header.toLowerCase());
  return actual === undefined
    ? failed(name, `Expected header ${header} not present`)
    : rule({ name, header, actual, mask: answer.mask });
}

const present: HeaderRule = ({ name, header, actual, mask }) =>
  passed(name, `Header ${header}: ${shown(header, actual, mask)} present`);

function differs({ name, header, actual, mask }: FoundHeader, expected: string): OutcomeResult {
  const wanted = isSensitiveName(header) ? MASK : expected;
  return failed(name, `Expecting ${header}: ${wanted}, got ${header}: ${shown(header, actual, mask)}`);
}

/** `headers_present`, and its older name `response_headers_present`: a list of names, or one name. */
export function readHeadersPresent(field: Field): Outcome {
  const name = field.key;
  const items = field.isList ? (field.items() ?? []) : [field];
  if (items.length === 0) field.fault(`"${name}" names no header.`);
  const headers = items.flatMap((item) => item.text() ?? []);
  return {
    name,
    check: (answer) =>
      answer.kind === 'http' ? headers.map((header) => checkHeader(answer, name, header, present)) : [],
  };
}

/** Header → the exact value that it must have. */
export function readHeaderValues(field: Field): Outcome {
  const name = field.key;
  const wanted = nonEmpty(field).map((entry) => ({ header: entry.key, expected: entry.text() ?? '' }));
  return {
    name,
    check: (answer) =>
      answer.kind !== 'http'
        ? []
        : wanted.map(({ header, expected }) =>
            checkHeader(answer, name, header, (found) =>
              found.actual === expected ? present(found) : differs(found, expected),
            ),
          ),
  };
}

/** Header → a regular expression that its value must match somewhere. */
export function readHeaderValueContains(field: Field): Outcome {
  const name = field.key;
  const wanted = nonEmpty(field).map((entry) => ({
    header: entry.key,
    text: String(entry.value),
    pattern: readRegularExpression(entry),
  }));
  return {
    name,
    check: (answer) =>
      answer.kind !== 'http'
        ? []
        : wanted.map(({ header, text, pattern }) =>
            checkHeader(answer, name, header, (found) =>
              found.actual.includes(text) || pattern?.test(found.actual)
                ? present(found)
                : differs(found, text),
            ),
          ),
  };
}

function nonEmpty(field: Field): readonly Field[] {
  const entries = field.entries() ?? [];
  if (field.isMapping && entries.length === 0) field.fault(`"${field.key}" names no header.`);
  return entries;
}
