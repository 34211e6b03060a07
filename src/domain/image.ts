import type { ArtifactKind, ComponentDefinition } from './component.ts';
import { KilnError } from './errors.ts';
import type { ChannelName, ComponentName, Digest, ImageId } from './ids.ts';
import type { Evidence } from './promotion-evidence.ts';

interface ArtifactForm {
  readonly kind: ArtifactKind;
  /** Who keeps it: `local` for this Kiln itself, else such as `docker`, `amazon`, `digitalocean`. */
  readonly provider: string;
  readonly region?: string;
  /** `amd64`, `arm64`… */
  readonly arch: string;
  readonly sizeBytes: number;
}

/** Bytes in the blob store: the digest is that of the OCI manifest that names them. */
export interface StoredArtifact extends ArtifactForm {
  readonly digest: Digest;
  readonly reference?: never;
}

/** Kept by a provider under its own name, such as the id of an AMI. */
export interface ProviderArtifact extends ArtifactForm {
  readonly reference: string;
  readonly digest?: never;
}

/** One form of an image, where it is kept. */
export type Artifact = StoredArtifact | ProviderArtifact;

export function isStored(artifact: Artifact): artifact is StoredArtifact {
  return artifact.digest !== undefined;
}

/** For whoever works on blobs alone; fails with `target.unsupported` where a provider keeps the artifact. */
export function storedDigest(artifact: Artifact): Digest {
  if (isStored(artifact)) return artifact.digest;
  throw new KilnError(
    'target.unsupported',
    `The ${artifact.kind} ${artifact.reference} is kept by ${artifact.provider}, not here.`,
    { next: 'Choose an artifact whose provider is local.' },
  );
}

export interface CheckResult {
  readonly id: string;
  /** `boot`, `standard`, `smoke`, `in-image`; `scan`, which a channel may ask for. */
  readonly kind: string;
  readonly where: string;
  readonly passed: boolean;
  readonly passedCount: number;
  readonly failedCount: number;
  /** First failures, one line each, below it the last lines of a log where there is one; never a secret. */
  readonly failures: readonly string[];
  readonly atMs: number;
}

export interface Revocation {
  readonly atMs: number;
  readonly by: string;
  readonly why: string;
}

/** Where an image was baked from, so that it can be baked again on another base. */
export interface ImageSource {
  /** Absolute, on the machine of the server. */
  readonly directory: string;
  /** Id of the state directory of the server that baked it; `host` names its machine for people. */
  readonly server: string;
  readonly host: string;
  /** Present when the folder held a commit and nothing else. */
  readonly commit?: string;
  /** The remote `origin`, without user or password. */
  readonly repository?: string;
}

/** What one bake made; immutable but for what is learned about it later (checks, revocation) and for its tags. */
export interface Image {
  readonly id: ImageId;
  readonly component: ComponentName;
  readonly version: string;
  /** Digest of everything that went in: source, resolved base, build commands, their environment, builder version. */
  readonly inputKey: Digest;
  readonly parent?: ImageId;
  readonly tags: Readonly<Record<string, string>>;
  readonly definition: ComponentDefinition;
  /** Absent: it was pulled, or baked by a Kiln that did not note it. */
  readonly source?: ImageSource;
  readonly artifacts: readonly Artifact[];
  readonly checks: readonly CheckResult[];
  readonly revoked?: Revocation;
  readonly createdAtMs: number;
}

declare const stage: unique symbol;
/** An image whose latest checks all passed, and which never failed a test inside it: only such a one can be promoted. */
export type TestedImage = Image & { readonly [stage]: 'tested' | 'promoted' };
/** A tested image that its channel holds or held: only such a one is released to a protected environment. */
export type PromotedImage = TestedImage & { readonly [stage]: 'promoted' };

/** The last result of each kind of check at each place counts. */
export function latestChecks(checks: readonly CheckResult[]): readonly CheckResult[] {
  const latest = new Map<string, CheckResult>();
  for (const check of checks) latest.set(`${check.kind} ${check.where}`, check);
  return [...latest.values()];
}

export function asTested(image: Image): TestedImage | undefined {
  // A scan says what is known today against what is in it, not whether it works: that is for a channel's policy.
  const checks = latestChecks(image.checks).filter(({ kind }) => kind !== 'scan');
  const passed = checks.length > 0 && checks.every((check) => check.passed);
  const fit = image.revoked === undefined && passed && !failedInside(image);
  return fit ? (image as TestedImage) : undefined;
}

/**
 * Failed for good: what its own tests found in an image does not change, and one that passes only sometimes is not
 * proven. What kept the tests from being run (a tool that is not there, an engine that was down) is no result.
 */
export function failedInside({ checks }: Image): boolean {
  return checks.some(({ kind, passed }) => kind === 'in-image' && !passed);
}

export const IMAGE_STATES = ['untested', 'tested', 'failed', 'revoked'] as const;
export type ImageState = (typeof IMAGE_STATES)[number];

/** A scan alone says nothing of it. */
export function imageState(image: Image): ImageState {
  if (image.revoked !== undefined) return 'revoked';
  if (asTested(image) !== undefined) return 'tested';
  return image.checks.some(({ kind }) => kind !== 'scan') ? 'failed' : 'untested';
}

/** One step of a channel's history; the newest entry is what the channel holds. */
export interface ChannelMove {
  readonly component: ComponentName;
  readonly channel: ChannelName;
  readonly image: ImageId;
  readonly previous?: ImageId;
  readonly by: string;
  readonly why: string;
  readonly atMs: number;
  /** What it was made upon; absent where an older Kiln made it, or it went back to what the channel had held. */
  readonly evidence?: Evidence;
}

export function asPromoted(image: Image, history: readonly ChannelMove[]): PromotedImage | undefined {
  const tested = asTested(image);
  return tested && history.some((move) => move.image === image.id) ? (tested as PromotedImage) : undefined;
}
