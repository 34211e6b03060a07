/** What the server and its baker process say to each other: few and small messages, however large the app. */
import { asKilnError, type ErrorCode, type Fault, KilnError } from '../../domain/errors.ts';
import type { Digest } from '../../domain/ids.ts';
import type { Artifact } from '../../domain/image.ts';
import type {
  BuildDifference,
  BuildPlan,
  BuildProgress,
  BuildRequest,
  BuildResult,
} from '../../domain/ports/builder.ts';
import type { BuildHost } from './build-command.ts';

/** What a baker process is made of. */
export interface BakerSetup {
  /** In the name of everything it leaves behind when it is killed. */
  readonly name: string;
  /** Absolute. */
  readonly stateDirectory: string;
  readonly host: BuildHost;
  /** As images name it: `amd64`, `arm64`. */
  readonly arch: string;
  /** Absolute path of the entry file of its threads. */
  readonly workerEntry: string;
  readonly threads: number;
}

export interface PlanCall {
  readonly verb: 'plan';
  /** The same number for `plan` and `build` of one request: what was planned is built. */
  readonly key: number;
  readonly request: BuildRequest;
}

export interface BuildCall {
  readonly verb: 'build';
  readonly key: number;
  readonly request: BuildRequest;
}

export interface VerifyCall {
  readonly verb: 'verify';
  readonly request: BuildRequest;
  readonly artifact: Artifact;
}

export interface UnpackCall {
  readonly verb: 'unpack';
  readonly digest: Digest;
  readonly destination: string;
}

export type Call = PlanCall | BuildCall | VerifyCall | UnpackCall;

export interface Answers {
  readonly plan: BuildPlan;
  readonly build: BuildResult;
  readonly verify: readonly BuildDifference[];
  readonly unpack: undefined;
}

export type ToBaker =
  | { readonly kind: 'open'; readonly setup: BakerSetup }
  | { readonly kind: 'call'; readonly id: number; readonly call: Call }
  | { readonly kind: 'abort'; readonly id: number }
  /** Sent when no call is under way: it ends itself. */
  | { readonly kind: 'close' };

export type FromBaker =
  | { readonly kind: 'progress'; readonly id: number; readonly progress: BuildProgress }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answers[keyof Answers] }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: Failure };

/** A KilnError as plain data; its cause stays where it was thrown. */
interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly next: string | undefined;
  readonly retryable: boolean;
  readonly faults: readonly Fault[];
  readonly details: KilnError['details'];
}

export function asFailure(thrown: unknown): Failure {
  const { code, message, next, retryable, faults, details } = asKilnError(thrown);
  return { code, message, next, retryable, faults, details };
}

export function asError({ code, message, next, retryable, faults, details }: Failure): KilnError {
  return new KilnError(code, message, {
    ...(next === undefined ? {} : { next }),
    retryable,
    faults,
    details,
  });
}
