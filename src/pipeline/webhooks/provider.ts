/** What is common to all that send webhooks: how a delivery looks, who signed it, what it says. */

import type { PullRequestEvent, PushEvent } from '../../domain/trigger.ts';

/** One value a header, by its name in lower case; undefined when it was not sent. */
export type HeaderOf = (name: string) => string | undefined;

/** A delivery as it came in, before anything of it is believed. */
export interface Delivery {
  readonly header: HeaderOf;
  /** Exactly the bytes that were signed. */
  readonly body: Uint8Array;
  readonly atMs: number;
}

type Untold<Event> = Event extends unknown ? Omit<Event, 'repository' | 'delivery'> : never;

/** What happened to a repository: a trigger event, but for whose it is and which delivery told it. */
export type RepositoryChange = Untold<PushEvent> | Untold<PullRequestEvent>;

/**
 * Every delivery that is signed is one of these; `repository` is its path at the provider, such as
 * `octocat/hello-world`. A payload that is not as documented throws `input.invalid`.
 */
export type Reading =
  | { readonly kind: 'ping' }
  | { readonly kind: 'ignored'; readonly why: string }
  | { readonly kind: 'changes'; readonly repository: string; readonly changes: readonly RepositoryChange[] };

export interface Provider {
  readonly title: string;
  /** Whether whoever sent it knows the secret; compares in constant time. */
  isSigned(delivery: Delivery, secret: string): boolean;
  /** The provider's own number of the delivery; the same when it is sent again. */
  deliveryId(header: HeaderOf): string | undefined;
  /** The event's name, as the provider calls it. */
  eventName(header: HeaderOf): string | undefined;
  read(event: string, payload: unknown): Reading;
  /** False: only the body is, so a body that comes back under another id is a replay. */
  readonly idIsSigned: boolean;
}
