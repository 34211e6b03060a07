/** Webhooks, the deliveries that came in by them, and the statuses that go back. */
import type { Change } from '../change.ts';
import type { CommitState, Webhook } from '../webhook.ts';

export interface DeliveryName {
  readonly webhook: string;
  /** The provider's own number of it. */
  readonly id: string;
}

/**
 * What is known of a delivery: nothing; the very same came before, and was answered so, unless its server ended first;
 * or the same body came under another id, which a provider does not do and whoever plays one back does.
 */
export type DeliveryState =
  | { readonly kind: 'new' }
  | { readonly kind: 'known'; readonly answer?: unknown }
  | { readonly kind: 'replayed'; readonly firstAtMs: number };

/** What a commit is to be told of an execution. */
export interface CommitStatus {
  readonly execution: string;
  readonly webhook: string;
  readonly commit: string;
  readonly pipeline: string;
  readonly state: CommitState;
}

export interface DueStatus extends CommitStatus {
  /** Times that it was tried since the state was wanted. */
  readonly attempts: number;
  readonly wantedAtMs: number;
}

/** What a provider signs with, as nobody can read it without the key. */
export interface SealedSecret {
  /** Name of the key. */
  readonly key: string;
  readonly sealed: string;
}

export interface WebhookStore {
  /** Fails with `input.conflict` when there is one of that name, or when others are sealed with another key. */
  add(
    webhook: Omit<Webhook, 'createdAtMs' | 'createdBy'>,
    secret: SealedSecret,
    change: Change,
  ): Promise<Webhook>;
  /** Of a webhook that was added when servers kept secrets for themselves; nothing where it has one already. */
  bringSecret(id: string, secret: SealedSecret): Promise<void>;
  /** By the id of a webhook. */
  secretOf(id: string): Promise<string | undefined>;
  /** Name of the one key that all are sealed with; undefined: there are none. */
  sealedWith(): Promise<string | undefined>;
  /** Its secret, its deliveries and the statuses still to be sent are forgotten. Fails with `not-found`. */
  remove(name: string, change: Change): Promise<void>;
  get(name: string): Promise<Webhook | undefined>;
  /** In the order of their names. */
  list(): Promise<readonly Webhook[]>;

  /**
   * Remembered for `keptMs`, and the newest `most` of a webhook. `bodyDigest` where the signature says nothing of the id.
   */
  receive(
    delivery: DeliveryName & { readonly bodyDigest?: string },
    atMs: number,
    kept: { readonly keptMs: number; readonly most: number },
  ): Promise<DeliveryState>;
  /** What it was answered with, for when it comes again. */
  answered(delivery: DeliveryName, answer: unknown): Promise<void>;

  /** Wanted from now on, unless an end of the same execution was wanted before. */
  wantStatus(status: CommitStatus, atMs: number): Promise<void>;
  /** Those of these webhooks whose time has come; nobody else is given them for `ttlMs`. */
  claimStatuses(
    webhooks: readonly string[],
    nowMs: number,
    ttlMs: number,
    limit: number,
  ): Promise<readonly DueStatus[]>;
  /** It was told so; wanted otherwise meanwhile, it stays due. */
  statusSent(status: Pick<CommitStatus, 'execution' | 'state'>): Promise<void>;
  /** `undefined`: never again. */
  statusFailed(
    status: Pick<CommitStatus, 'execution' | 'state'>,
    nextAtMs: number | undefined,
  ): Promise<void>;
  /** When the next of these is due; undefined: none is. */
  nextStatusAtMs(webhooks: readonly string[]): Promise<number | undefined>;
}
