/** What kept a test from getting an answer, as a failed outcome. */
import { AnswerTooLarge, TooManyRedirects } from './http.ts';
import { failed, type OutcomeResult } from './test-file.ts';

export interface ConnectionFailure {
  readonly outcome: OutcomeResult;
  /** True when a service that is still starting would fail in this way. */
  readonly mayBeStarting: boolean;
}

const STARTING = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
];
/** Node's codes for a certificate that does not verify: those of OpenSSL, and its own for a wrong name. */
const CERTIFICATE =
  /^(CERT_|UNABLE_TO_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|ERR_TLS_CERT_ALTNAME|HOSTNAME_MISMATCH|INVALID_CA)/;

/** `origin` is where the test went, such as `http://127.0.0.1:8080`. */
export function connectionFailure(thrown: unknown, origin: string, timeoutMs: number): ConnectionFailure {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const failure = (name: string, message: string, mayBeStarting = false): ConnectionFailure => ({
    outcome: failed(name, message),
    mayBeStarting,
  });
  if (error.name === 'TimeoutError')
    return failure('timeout', `No whole answer from ${origin} within ${timeoutMs}ms`);
  if (CERTIFICATE.test(code)) {
    return failure(
      'SSLVerify',
      `Certificate verify failed and not ignored by inputs['verify']: ${error.message}`,
    );
  }
  if (error instanceof AnswerTooLarge || error instanceof TooManyRedirects) {
    return failure('response', error.message);
  }
  if (code === 'ECONNREFUSED') return failure('connection', `${origin} refused the connection`, true);
  if (code === 'ENOTFOUND') return failure('connection', `The name of ${origin} is not known`, true);
  // Node tries every address of a name and then says nothing but the code.
  const why = error.message === '' ? code : error.message;
  return failure('connection', `No answer from ${origin}: ${why}`, STARTING.includes(code));
}
