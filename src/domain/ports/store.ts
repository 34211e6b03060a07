/**
 * Kiln's memory, offered as whole transactions by name. Every write takes the next
 * revision inside its transaction, appends its events and its audit line there, and
 * is durable when it returns. Writes that belong to a deployment's owner carry the
 * fence of its lease and fail with `fence.stale` once somebody else holds it.
 */
import type { AuditEntry, KilnEvent, Token } from '../audit.ts';
import type { CallAttempt, Change } from '../change.ts';
import type { ChannelPolicy } from '../channel-policy.ts';
import type {
  Decisions,
  Deployment,
  DeploymentState,
  Lease,
  OnConflict,
  ServiceState,
} from '../deployment.ts';
import type { Finding, FindingSet, Waiver } from '../finding.ts';
import type {
  ChannelName,
  ComponentName,
  DeploymentId,
  Digest,
  EnvironmentName,
  Fence,
  ImageId,
  ReleaseNumber,
  Revision,
  ServerGroupName,
  ServiceKey,
} from '../ids.ts';
import type { Artifact, ChannelMove, CheckResult, Image } from '../image.ts';
import type { ImageQuery } from '../image-query.ts';
import type { Page, PageRequest } from '../page.ts';
import type { Approval } from '../promotion-evidence.ts';
import type { Release, ReleaseState } from '../release.ts';
import type { KeepReason, RetentionDecision, RetentionPolicy } from '../retention.ts';
import type { ServerGroup } from '../server-group.ts';
import type { ExecutionStore } from './executions.ts';

export interface ImageStore {
  /** Fails with `input.conflict` when the component has this version already. */
  create(image: Omit<Image, 'checks' | 'revoked'>, change: Change): Promise<Image>;
  get(id: ImageId): Promise<Image | undefined>;
  /** The newest image of this version, or of this input key. */
  byVersion(component: ComponentName, version: string): Promise<Image | undefined>;
  byInputKey(component: ComponentName, inputKey: Digest): Promise<Image | undefined>;
  /** Newest first. */
  list(filter: { component?: ComponentName }, page: PageRequest): Promise<Page<Image>>;
  recordCheck(id: ImageId, result: CheckResult, change: Change): Promise<void>;
  /**
   * Marks it unfit, and all that was baked from it, in one transaction; answers those that were not before. From then
   * on no release, deployment or move of a channel takes one of them: they fail with `image.unfit`.
   */
  revoke(id: ImageId, why: string, change: Change): Promise<readonly ImageId[]>;
  /** Artifact digests of all images. */
  artifacts(): Promise<readonly Digest[]>;
}

/** Reads that may look at very many images: they never hold up the server's own thread. */
export interface CatalogueStore {
  /**
   * In the order that the query asks for. The smaller of its own limit and the page's holds, and a query with a
   * limit of its own has no further page. A page never shifts while images are added.
   */
  search(query: ImageQuery, page: PageRequest): Promise<Page<Image>>;
}

export interface JanitorState {
  /** False: runs only say what they would do. */
  readonly enabled: boolean;
  readonly usesSeenAtMs: number;
  readonly lastRunAtMs?: number;
}

export interface MarkedImage {
  readonly markedAtMs: number;
  readonly sweepAfterMs: number;
}

/** Of an image that was swept: to be deleted by whoever keeps it. */
export interface SweptArtifact {
  readonly image: ImageId;
  readonly position: number;
  readonly artifact: Artifact;
}

/** Images are named by their number in the catalogue, as a decision names them. */
export interface JanitorStore {
  state(): Promise<JanitorState>;
  setEnabled(enabled: boolean, change: Change): Promise<void>;
  /** Looks at all images, in a reader of its own; changes nothing. */
  decide(policy: RetentionPolicy, nowMs: number): Promise<RetentionDecision>;
  /** Why the image is kept; undefined: nothing needs it. */
  keepReason(id: ImageId, policy: RetentionPolicy, nowMs: number): Promise<KeepReason | undefined>;
  /** Announces that they go after this time; at most some hundred at a time. */
  mark(numbers: readonly number[], sweepAfterMs: number, change: Change): Promise<readonly ImageId[]>;
  unmark(numbers: readonly number[], change: Change): Promise<void>;
  marked(id: ImageId): Promise<MarkedImage | undefined>;
  /** Takes the mark away and counts as a use; false: it was not marked. */
  restore(id: ImageId, change: Change): Promise<boolean>;
  /**
   * Removes it when, in this very transaction, its notice is over and nothing needs it; otherwise answers what keeps
   * it (`announced`: its notice). Its artifacts are then in `sweptArtifacts`.
   */
  sweep(
    number: number,
    policy: RetentionPolicy,
    change: Change,
  ): Promise<KeepReason | 'swept' | 'gone' | 'announced'>;
  /** All images that server groups run count as used now. */
  noteUses(atMs: number): Promise<void>;
  finishRun(references: number, atMs: number): Promise<void>;
  /** Some hundred at a time. */
  sweptArtifacts(): Promise<readonly SweptArtifact[]>;
  forgetArtifacts(gone: readonly SweptArtifact[]): Promise<void>;
}

export interface FindingStore {
  /** What a source finds now, in place of what it found before; false: it is the same, and nothing was written. */
  put(image: ImageId, source: string, findings: readonly Finding[], change: Change): Promise<boolean>;
  /** Of every source. */
  of(image: ImageId): Promise<readonly FindingSet[]>;
  waive(waiver: Omit<Waiver, 'id' | 'by' | 'createdAtMs'>, change: Change): Promise<Waiver>;
  /** Newest first; those that have expired too. */
  waivers(): Promise<readonly Waiver[]>;
  endWaiver(id: string, change: Change): Promise<void>;
}

export interface ChannelPolicyStore {
  get(component: ComponentName, channel: ChannelName): Promise<ChannelPolicy | undefined>;
  set(component: ComponentName, channel: ChannelName, policy: ChannelPolicy, change: Change): Promise<void>;
  /** By whoever makes the change; a second time changes the reason. */
  approve(
    component: ComponentName,
    channel: ChannelName,
    image: ImageId,
    why: string,
    change: Change,
  ): Promise<void>;
  approvals(component: ComponentName, channel: ChannelName, image: ImageId): Promise<readonly Approval[]>;
}

export interface ChannelStore {
  /** Moves the channel when it still holds `expected` (undefined: nothing); else `input.conflict`. */
  move(move: Omit<ChannelMove, 'atMs' | 'by'>, change: Change): Promise<ChannelMove>;
  current(component: ComponentName, channel: ChannelName): Promise<ChannelMove | undefined>;
  list(component?: ComponentName): Promise<readonly ChannelMove[]>;
  /** Newest first. */
  history(component: ComponentName, channel: ChannelName): Promise<readonly ChannelMove[]>;
}

export type ReleaseWithState = Release & ReleaseState;

export interface ReleaseStore {
  /** Allocates the next number of the service. Fails with `route.conflict` when another service has the route. */
  create(release: Omit<Release, 'number' | 'createdAtMs' | 'createdBy'>, change: Change): Promise<Release>;
  get(
    component: ComponentName,
    environment: EnvironmentName,
    number: ReleaseNumber,
  ): Promise<ReleaseWithState | undefined>;
  /** Newest first. */
  list(
    filter: { component?: ComponentName; environment?: EnvironmentName },
    page: PageRequest,
  ): Promise<Page<ReleaseWithState>>;
  markBad(
    service: ServiceKey,
    number: ReleaseNumber,
    why: string,
    fence: Fence,
    change: Change,
  ): Promise<void>;
}

export interface DeploymentRequest {
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
  readonly reason: Deployment['reason'];
  readonly to: ReleaseNumber;
  readonly strategy: Deployment['strategy'];
  readonly onConflict: OnConflict;
}

export interface DeploymentStore {
  /**
   * Begins one, or fails with `deployment.in-progress` naming the first. `queue` waits behind it;
   * `replace` asks the first to cancel and waits behind it.
   */
  create(request: DeploymentRequest, change: Change): Promise<Deployment>;
  get(id: DeploymentId): Promise<Deployment | undefined>;
  /** Running first, then queued in order. */
  open(service: ServiceKey): Promise<readonly Deployment[]>;
  list(
    filter: { component?: ComponentName; environment?: EnvironmentName },
    page: PageRequest,
  ): Promise<Page<Deployment>>;
  requestCancel(id: DeploymentId, change: Change): Promise<void>;
  /** Makes the oldest queued one running when none runs. */
  startNext(service: ServiceKey, fence: Fence, change: Change): Promise<Deployment | undefined>;
  /** Adds to the decisions; none is ever changed once made. */
  decide(id: DeploymentId, decisions: Decisions, fence: Fence, change: Change): Promise<Deployment>;
  /** A line of progress for those who watch. */
  progress(
    id: DeploymentId,
    data: Readonly<Record<string, unknown>>,
    fence: Fence,
    change: Change,
  ): Promise<void>;
  /** Ends it; with `deployed` the release serves from now on, in the same transaction. */
  finish(
    id: DeploymentId,
    outcome: { state: Exclude<DeploymentState, 'queued' | 'running'>; failure?: Deployment['failure'] },
    fence: Fence,
    change: Change,
  ): Promise<Deployment>;
}

export interface ServiceStore {
  get(service: ServiceKey): Promise<ServiceState | undefined>;
  list(): Promise<readonly ServiceState[]>;
  groups(service: ServiceKey): Promise<readonly ServerGroup[]>;
  putGroup(group: ServerGroup, fence: Fence, change: Change): Promise<void>;
  deleteGroup(service: ServiceKey, name: ServerGroupName, fence: Fence, change: Change): Promise<void>;
  setWeights(
    service: ServiceKey,
    weights: Readonly<Record<string, number>>,
    fence: Fence,
    change: Change,
  ): Promise<void>;
  /** Not fenced: a person's word, which the owner then carries out. */
  setStopped(service: ServiceKey, stopped: boolean, change: Change): Promise<void>;
}

export interface LeaseStore {
  /** Takes or renews the lease; undefined while somebody else holds it. A change of hands raises the fence. */
  acquire(service: ServiceKey, holder: string, ttlMs: number, nowMs: number): Promise<Lease | undefined>;
  release(service: ServiceKey, holder: string): Promise<void>;
  /**
   * All of holders whose names begin so. Only for whoever knows that each of them has ended, by having taken what
   * each of them needed to live.
   */
  releaseAll(holders: string): Promise<void>;
  holder(service: ServiceKey): Promise<Lease | undefined>;
}

export interface TokenStore {
  /** Only the hash of the secret is kept. */
  create(token: Omit<Token, 'id' | 'createdAtMs'>, secretHash: string, change: Change): Promise<Token>;
  bySecretHash(secretHash: string): Promise<Token | undefined>;
  list(): Promise<readonly Token[]>;
  delete(id: string, change: Change): Promise<void>;
}

export interface SavedAnswer {
  readonly status: number;
  readonly body: string;
}

export interface KeyedCall extends CallAttempt {
  readonly actor: string;
  /** Tells one call from another that has the same key by mistake. */
  readonly requestHash: string;
}

export type KeyState =
  /** The attempt holds the key. `made`: subject of what an earlier one made, which ended before it had answered. */
  | { readonly kind: 'begun'; readonly made?: string }
  /** Another attempt holds it, and has not answered yet. */
  | { readonly kind: 'in-progress' }
  | { readonly kind: 'answered'; readonly answer: SavedAnswer }
  /** The key is of another call. */
  | { readonly kind: 'mismatch' };

type HeldCall = Omit<KeyedCall, 'requestHash'>;

/** Keys of calls. One that is held must be renewed every few seconds: otherwise the next attempt gets it. */
export interface IdempotencyStore {
  begin(call: KeyedCall, atMs: number): Promise<KeyState>;
  renew(call: HeldCall, atMs: number): Promise<void>;
  /** Does nothing when another attempt holds the key, as do `renew` and `forget`. */
  finish(call: HeldCall, answer: SavedAnswer, atMs: number): Promise<void>;
  /** For a call that failed: its key is free, and what was made under it stays known. */
  forget(call: HeldCall): Promise<void>;
  /** All of attempts whose names begin so, as with leases. */
  releaseAll(attempts: string): Promise<void>;
}

export interface EventStore {
  append(
    kind: string,
    subject: string,
    data: Readonly<Record<string, unknown>>,
    change: Change,
  ): Promise<Revision>;
  /** Events after `revision`, oldest first. */
  after(revision: Revision, limit: number): Promise<readonly KilnEvent[]>;
  revision(): Promise<Revision>;
  /** Resolves when there is a newer revision than this one; other servers' changes included. */
  waitAfter(revision: Revision, signal: AbortSignal): Promise<Revision>;
}

export interface AuditStore {
  list(page: PageRequest): Promise<Page<AuditEntry>>;
  /** Undefined: the chain is whole; otherwise the first revision that does not fit. */
  firstBroken(): Promise<Revision | undefined>;
  append(
    action: string,
    subject: string,
    detail: Readonly<Record<string, unknown>>,
    change: Change,
  ): Promise<void>;
}

export interface Store {
  readonly engine: 'sqlite' | 'postgres';
  readonly images: ImageStore;
  readonly catalogue: CatalogueStore;
  readonly channels: ChannelStore;
  readonly channelPolicies: ChannelPolicyStore;
  readonly findings: FindingStore;
  readonly janitor: JanitorStore;
  readonly releases: ReleaseStore;
  readonly deployments: DeploymentStore;
  readonly executions: ExecutionStore;
  readonly services: ServiceStore;
  readonly leases: LeaseStore;
  readonly tokens: TokenStore;
  readonly idempotency: IdempotencyStore;
  readonly events: EventStore;
  readonly audit: AuditStore;
  /** Fails fast when the store cannot be written. */
  ping(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
