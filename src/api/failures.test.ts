import { expect, test } from 'vitest';
import { asKilnError, ERROR_CODES, KilnError } from '../domain/errors.ts';
import { errorOfProblem, exitCodeOf, FAILURES, problemOf } from './failures.ts';
import { problem } from './problem.ts';

test.each(ERROR_CODES)('%s has an HTTP status, an exit code, and survives the wire', (code) => {
  const { httpStatus, exitCode } = FAILURES[code];
  expect(httpStatus).toBeGreaterThanOrEqual(400);
  expect(httpStatus).toBeLessThan(600);
  expect(exitCode).toBeGreaterThan(0);
  expect(exitCode).toBeLessThan(256);
  const faults = [{ path: 'a', message: 'b', location: { file: 'f', line: 1, column: 2 } }];
  const error = new KilnError(code, 'It is so.', { next: 'Do.', faults, retryable: true, details: { n: 1 } });
  const wire = problem.parse(JSON.parse(JSON.stringify(problemOf(error, 'r1'))));
  expect(errorOfProblem(httpStatus, wire)).toMatchObject({ ...error, message: 'It is so.' });
  expect(exitCodeOf(error)).toBe(exitCode);
});

test('nothing thrown is without a code', () => {
  for (const thrown of [new Error('x'), 'x', undefined, null, 7])
    expect(problemOf(asKilnError(thrown)).code).toBe('internal');
});
