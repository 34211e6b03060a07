/**
 * Every failure that Kiln names. A code is stable: scripts, HTTP clients and
 * `ErrorEquals` of pipelines match on it, so a code is never renamed or reused.
 * `src/api/failures.ts` maps each one to its HTTP status and exit code.
 */
export const ERROR_CODES = [
  // input at the edges
  'input.invalid',
  'input.conflict',
  'input.too-large',
  'input.media-type',
  'input.method',
  'component-file.invalid',
  'component-file.missing',
  'pipeline.invalid',
  'path.escapes',
  'checkout.failed',
  // who may do what
  'auth.missing',
  'auth.denied',
  'auth.expired',
  'auth.origin',
  'idempotency.mismatch',
  'idempotency.in-progress',
  // what providers of repositories tell
  'webhook.unsigned',
  'webhook.replayed',
  'secret.sealed',
  // things that are not there, which is not the same as broken
  'not-found',
  'events.pruned',
  // bake
  'build.failed',
  'build.timeout',
  'source.changed',
  'blob.damaged',
  'blob.missing',
  'disk.full',
  'image.unfit',
  // checks
  'check.failed',
  'check.invalid',
  // config
  'config.missing-key',
  'config.template',
  // release and deploy
  'release.not-promoted',
  'release.bad',
  'rollback.nothing',
  'deployment.in-progress',
  'deployment.failed',
  'deployment.timeout',
  'deployment.cancelled',
  'route.conflict',
  'volume.busy',
  'migrate.failed',
  // ownership
  'lease.lost',
  'fence.stale',
  'state.in-use',
  'state.newer-version',
  // registries
  'registry.unreachable',
  'registry.refused',
  // targets and routers
  'target.unknown',
  'target.unsupported',
  'target.unavailable',
  'target.rejected',
  'instance.port-taken',
  'instance.exited',
  'router.unreachable',
  'router.rejected',
  'listen.taken',
  // store
  'store.busy',
  'store.lost',
  'store.damaged',
  // calling a server
  'server.unreachable',
  'server.protocol',
  'server.gone',
  'server.busy',
  'server.flooded',
  'worker.protocol',
  'tool.missing',
  'timeout',
  'aborted',
  'internal',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Where in a file a fault stands. Lines and columns count from 1, as editors do. */
export interface FaultLocation {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One of possibly many faults of an input; all are reported at once. */
export interface Fault {
  /** Path of keys to the value, as in `processes.web.port`. */
  readonly path: string;
  readonly message: string;
  readonly found?: string;
  readonly expected?: string;
  readonly didYouMean?: string;
  readonly location?: FaultLocation;
}

export interface KilnErrorOptions {
  /** What to do next, one imperative sentence. */
  readonly next?: string;
  readonly cause?: unknown;
  /** True when the same call may succeed later without anybody changing anything. */
  readonly retryable?: boolean;
  readonly faults?: readonly Fault[];
  /** Small JSON values that a program may want; never a secret. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}

/** The one error class: a code for programs, a sentence for people, and the next step. */
export class KilnError extends Error {
  readonly code: ErrorCode;
  readonly next: string | undefined;
  readonly retryable: boolean;
  readonly faults: readonly Fault[];
  readonly details: Readonly<Record<string, string | number | boolean | null>>;

  constructor(code: ErrorCode, message: string, options: KilnErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KilnError';
    this.code = code;
    this.next = options.next;
    this.retryable = options.retryable ?? false;
    this.faults = options.faults ?? [];
    this.details = options.details ?? {};
  }
}

/** Turns whatever was thrown into a KilnError, keeping the original as its cause. */
export function asKilnError(thrown: unknown): KilnError {
  if (thrown instanceof KilnError) return thrown;
  if (thrown instanceof Error) {
    const systemCode = 'code' in thrown ? thrown.code : undefined;
    if (systemCode === 'ENOSPC' || systemCode === 'EDQUOT' || systemCode === 'SQLITE_FULL') {
      return new KilnError('disk.full', `The disk is full: ${thrown.message}`, {
        cause: thrown,
        next: 'Free some space, then try again; nothing acknowledged was lost.',
        retryable: true,
      });
    }
    if (thrown.name === 'AbortError')
      return new KilnError('aborted', 'The call was cancelled.', { cause: thrown });
    if (thrown.name === 'TimeoutError') {
      return new KilnError('timeout', 'The call took longer than its deadline.', {
        cause: thrown,
        retryable: true,
      });
    }
    return new KilnError('internal', thrown.message, { cause: thrown });
  }
  return new KilnError('internal', String(thrown));
}
