/** How answers leave: JSON, and problem details for every failure. */
import { FAILURES, PROBLEM_TYPE, problemOf } from '../api/failures.ts';
import { asKilnError, KilnError } from '../domain/errors.ts';

export function jsonAnswer(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return textAnswer(status, JSON.stringify(body), headers);
}

export function textAnswer(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(text, { status, headers: { 'content-type': 'application/json', ...headers } });
}

/** Of a failure nobody foresaw only the request's id goes out; the server's log has the rest under it. */
export function problemAnswer(thrown: unknown, requestId: string): Response {
  const error = shown(thrown, requestId);
  const headers: Record<string, string> = { 'content-type': PROBLEM_TYPE };
  if (error.code === 'auth.missing' || error.code === 'auth.expired') headers['www-authenticate'] = 'Bearer';
  if (error.code === 'input.method' && typeof error.details.allow === 'string')
    headers.allow = error.details.allow;
  if (error.retryable) headers['retry-after'] = '1';
  return new Response(JSON.stringify(problemOf(error, requestId)), {
    status: FAILURES[error.code].httpStatus,
    headers,
  });
}

function shown(thrown: unknown, requestId: string): KilnError {
  const error = asKilnError(thrown);
  if (error.code !== 'internal') return error;
  return new KilnError('internal', 'Something in Kiln broke while answering this.', {
    cause: error,
    next: `Look for request ${requestId} in the server’s log, and report it.`,
  });
}
