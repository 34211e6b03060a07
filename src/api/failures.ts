/**
 * The one place that says what a failure means outside: its HTTP status, its exit code, and its shape on the
 * wire (problem details, RFC 9457). Imports no schema library, so that the command line starts fast.
 */
import { ERROR_CODES, type ErrorCode, type Fault, KilnError } from '../domain/errors.ts';

/** Exit codes of the command line, as `docs/cli.md` lists them. */
export const EXIT = {
  ok: 0,
  /** It ran and the answer is no: a check failed, two builds differ. */
  negative: 1,
  /** A flag, name, file or body is not valid. */
  usage: 2,
  notFound: 3,
  /** The state of things forbids it: a conflict, a deployment under way, an image not promoted. */
  refused: 4,
  /** Who asks may not. */
  auth: 5,
  /** The work was begun and did not succeed; what was before is still there. */
  failed: 6,
  unavailable: 69,
  internal: 70,
  /** The same call may succeed later. */
  temporary: 75,
  interrupted: 130,
} as const;

export interface Failure {
  readonly httpStatus: number;
  readonly exitCode: number;
}

const invalid: Failure = { httpStatus: 422, exitCode: EXIT.usage };
const conflict: Failure = { httpStatus: 409, exitCode: EXIT.refused };
const workFailed: Failure = { httpStatus: 422, exitCode: EXIT.failed };
const broken: Failure = { httpStatus: 500, exitCode: EXIT.internal };
const later: Failure = { httpStatus: 503, exitCode: EXIT.temporary };

export const FAILURES = {
  'input.invalid': { httpStatus: 400, exitCode: EXIT.usage },
  'input.conflict': conflict,
  'input.too-large': { httpStatus: 413, exitCode: EXIT.usage },
  'input.media-type': { httpStatus: 415, exitCode: EXIT.usage },
  'input.method': { httpStatus: 405, exitCode: EXIT.usage },
  'component-file.invalid': invalid,
  'component-file.missing': invalid,
  'pipeline.invalid': invalid,
  'path.escapes': invalid,
  'checkout.failed': { httpStatus: 502, exitCode: EXIT.failed },
  'auth.missing': { httpStatus: 401, exitCode: EXIT.auth },
  'auth.denied': { httpStatus: 403, exitCode: EXIT.auth },
  'auth.expired': { httpStatus: 401, exitCode: EXIT.auth },
  'auth.origin': { httpStatus: 403, exitCode: EXIT.auth },
  'idempotency.mismatch': { httpStatus: 422, exitCode: EXIT.usage },
  'idempotency.in-progress': { httpStatus: 409, exitCode: EXIT.temporary },
  'webhook.unsigned': { httpStatus: 401, exitCode: EXIT.auth },
  'webhook.replayed': conflict,
  'secret.sealed': { httpStatus: 503, exitCode: EXIT.unavailable },
  'not-found': { httpStatus: 404, exitCode: EXIT.notFound },
  'events.pruned': { httpStatus: 410, exitCode: EXIT.notFound },
  'build.failed': workFailed,
  'build.timeout': workFailed,
  'source.changed': { httpStatus: 409, exitCode: EXIT.temporary },
  'blob.damaged': broken,
  'blob.missing': broken,
  'disk.full': { httpStatus: 507, exitCode: EXIT.temporary },
  'image.unfit': conflict,
  'check.failed': { httpStatus: 422, exitCode: EXIT.negative },
  'check.invalid': invalid,
  'config.missing-key': invalid,
  'config.template': invalid,
  'release.not-promoted': conflict,
  'release.bad': workFailed,
  'rollback.nothing': conflict,
  'deployment.in-progress': conflict,
  'deployment.failed': workFailed,
  'deployment.timeout': workFailed,
  'deployment.cancelled': workFailed,
  'route.conflict': conflict,
  'volume.busy': conflict,
  'migrate.failed': workFailed,
  'lease.lost': later,
  'fence.stale': later,
  'state.in-use': { httpStatus: 409, exitCode: EXIT.unavailable },
  'state.newer-version': { httpStatus: 409, exitCode: EXIT.unavailable },
  'registry.unreachable': { httpStatus: 502, exitCode: EXIT.temporary },
  'registry.refused': { httpStatus: 502, exitCode: EXIT.failed },
  'target.unknown': invalid,
  'target.unsupported': invalid,
  'target.unavailable': later,
  'target.rejected': broken,
  'instance.port-taken': workFailed,
  'instance.exited': workFailed,
  'router.unreachable': later,
  'router.rejected': broken,
  'listen.taken': { httpStatus: 409, exitCode: EXIT.unavailable },
  'store.busy': later,
  'store.lost': later,
  'store.damaged': broken,
  'server.unreachable': { httpStatus: 502, exitCode: EXIT.unavailable },
  'server.protocol': { httpStatus: 502, exitCode: EXIT.unavailable },
  'server.gone': { httpStatus: 503, exitCode: EXIT.unavailable },
  'server.busy': later,
  'server.flooded': { httpStatus: 429, exitCode: EXIT.temporary },
  'worker.protocol': { httpStatus: 409, exitCode: EXIT.unavailable },
  'tool.missing': { httpStatus: 501, exitCode: EXIT.unavailable },
  timeout: { httpStatus: 504, exitCode: EXIT.temporary },
  aborted: { httpStatus: 499, exitCode: EXIT.interrupted },
  internal: broken,
} as const satisfies Record<ErrorCode, Failure>;

/** Problem details (RFC 9457): the standard members, then what Kiln adds. */
export interface Problem {
  /** A URI reference made of the code: `urn:kiln:error:input.invalid`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** The request, as `urn:kiln:request:ID`; the server's log names it as well. */
  readonly instance?: string;
  readonly code: ErrorCode;
  readonly next?: string;
  readonly retryable: boolean;
  readonly faults: readonly Fault[];
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

export const PROBLEM_TYPE = 'application/problem+json';

/** `deployment.in-progress` as `Deployment in progress`: equal for every occurrence, as the RFC asks of a title. */
function titleOf(code: ErrorCode): string {
  const words = code.replace(/[.-]/g, ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function problemOf(error: KilnError, requestId?: string): Problem {
  return {
    type: `urn:kiln:error:${error.code}`,
    title: titleOf(error.code),
    status: FAILURES[error.code].httpStatus,
    detail: error.message,
    ...(requestId === undefined ? {} : { instance: `urn:kiln:request:${requestId}` }),
    code: error.code,
    ...(error.next === undefined ? {} : { next: error.next }),
    retryable: error.retryable,
    faults: error.faults,
    details: error.details,
  };
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && (ERROR_CODES as readonly string[]).includes(value);
}

/** The failure that a server answered. A body that is no problem of ours is `server.protocol`, never dropped. */
export function errorOfProblem(status: number, body: unknown): KilnError {
  if (!isProblem(body)) {
    return new KilnError('server.protocol', `The server answered ${status} with a body Kiln cannot read.`, {
      next: 'See that KILN_URL points at a Kiln server, and not at a proxy or another program.',
      retryable: status >= 500,
      details: { status },
    });
  }
  const known = isErrorCode(body.code);
  return new KilnError(known ? body.code : 'internal', body.detail, {
    ...(body.next === undefined ? {} : { next: body.next }),
    retryable: body.retryable,
    faults: body.faults,
    // A newer server may know codes that this client does not.
    details: known ? body.details : { ...body.details, code: body.code },
  });
}

function isProblem(body: unknown): body is Omit<Problem, 'code'> & { readonly code: string } {
  return (
    typeof body === 'object' &&
    body !== null &&
    'code' in body &&
    typeof body.code === 'string' &&
    'detail' in body &&
    typeof body.detail === 'string' &&
    'faults' in body &&
    Array.isArray(body.faults)
  );
}

export function exitCodeOf(error: KilnError): number {
  return FAILURES[error.code].exitCode;
}
