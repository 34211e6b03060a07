/**
 * From a delivery to the events that start pipelines. The order is what makes it safe:
 *
 *   1. The signature, over the raw body, before anything is parsed. Whoever does not know the secret learns nothing
 *      but that: not even whether there is a webhook of that name.
 *   2. The payload, against the provider's documented form. What starts nothing is acknowledged, and says why.
 *   3. The delivery is noted. Come again, it gets the first answer again; a body that comes back under another id is a
 *      replay, and refused.
 *   4. The events, each durable and known by the delivery's id, so that one whose server ended in between is taken
 *      once all the same. Only then the answer.
 */
import { createHash } from 'node:crypto';
import { KilnError } from '../../domain/errors.ts';
import type { WebhookStore } from '../../domain/ports/webhooks.ts';
import type { TriggerEvent } from '../../domain/trigger.ts';
import type { Webhook } from '../../domain/webhook.ts';
import type { Taken, TriggerInbox } from '../triggers/inbox.ts';
import { repositoryName } from '../triggers/repository-name.ts';
import type { Delivery, RepositoryChange } from './provider.ts';
import { PROVIDERS } from './providers.ts';
import { DECOY_SECRET } from './signature.ts';
import type { WebhookSecrets } from './webhook-secrets.ts';

/** What is remembered of deliveries, and so how long a replay is known for one. */
const KEPT = { keptMs: 30 * 24 * 3_600_000, most: 10_000 };
const DELIVERY_ID = /^[\x21-\x7e]{1,200}$/;
const EVENT_NAME = /^[\x20-\x7e]{1,100}$/;

/** What came of a delivery. */
export type Receipt =
  | { readonly outcome: 'pong' }
  | { readonly outcome: 'ignored'; readonly event: string; readonly why: string }
  | {
      readonly outcome: 'taken';
      readonly event: string;
      /** Of the pipelines that watch the repository: which execution starts, unless its filters pass it over. */
      readonly started: readonly Taken[];
      /** True: it came before, and this is what was answered then. */
      readonly again: boolean;
    };

export interface ReceiverParts {
  readonly store: Pick<WebhookStore, 'get' | 'receive' | 'answered'>;
  readonly secrets: Pick<WebhookSecrets, 'read'>;
  readonly inbox: Pick<TriggerInbox, 'startFor'>;
}

export class WebhookReceiver {
  readonly #parts: ReceiverParts;

  constructor(parts: ReceiverParts) {
    this.#parts = parts;
  }

  /**
   * Fails with `webhook.unsigned`, `webhook.replayed`, or `input.invalid` for what is signed and yet not as its provider
   * documents it.
   */
  async receive(name: string, delivery: Delivery): Promise<Receipt> {
    const webhook = await this.#signedFor(name, delivery);
    const provider = PROVIDERS[webhook.provider];
    const event = named(provider.eventName(delivery.header), EVENT_NAME, 'its event');
    const reading = provider.read(event, payloadOf(delivery));
    if (reading.kind === 'ping') return { outcome: 'pong' };
    if (reading.kind === 'ignored') return { outcome: 'ignored', event, why: reading.why };
    if (!isOf(webhook, reading.repository)) {
      const why = `this webhook speaks for ${webhook.repository}, and not for ${reading.repository}`;
      return { outcome: 'ignored', event, why };
    }
    const id = named(provider.deliveryId(delivery.header), DELIVERY_ID, 'its delivery');
    const bodyDigest = provider.idIsSigned ? {} : { bodyDigest: digestOf(delivery.body) };
    const state = await this.#parts.store.receive({ webhook: name, id, ...bodyDigest }, delivery.atMs, KEPT);
    if (state.kind === 'replayed') throw replayed(state.firstAtMs);
    if (state.kind === 'known' && state.answer !== undefined) {
      // What was stored is what this very function answered.
      return { outcome: 'taken', event, started: state.answer as readonly Taken[], again: true };
    }
    const started = await this.#take(webhook, id, reading.changes);
    if (started.length === 0) {
      // Not its last word: delivered again once somebody watches, it is taken.
      return { outcome: 'ignored', event, why: `no pipeline watches ${webhook.repository} yet` };
    }
    await this.#parts.store.answered({ webhook: name, id }, started);
    return { outcome: 'taken', event, started, again: false };
  }

  /** The same work, as far as it can be seen from outside, whether there is such a webhook or not. */
  async #signedFor(name: string, delivery: Delivery): Promise<Webhook> {
    const webhook = await this.#parts.store.get(name);
    const secret = await this.#parts.secrets.read(webhook?.id ?? '');
    const isSigned = PROVIDERS[webhook?.provider ?? 'github'].isSigned(delivery, secret ?? DECOY_SECRET);
    if (webhook !== undefined && secret !== undefined && isSigned) return webhook;
    throw new KilnError('webhook.unsigned', 'The signature of this delivery does not hold here.', {
      next: 'See that the address and the secret are those that `kiln webhook add` has shown.',
    });
  }

  async #take(webhook: Webhook, id: string, changes: readonly RepositoryChange[]): Promise<readonly Taken[]> {
    const { name, repository } = webhook;
    const taken: Taken[] = [];
    for (const change of changes) {
      const told = { repository: { urls: [repository] }, delivery: `${name}/${id}` };
      const event: TriggerEvent = { ...change, ...told };
      taken.push(...(await this.#parts.inbox.startFor(event, { actor: `webhook ${name}` })));
    }
    return taken;
  }
}

function named(text: string | undefined, rule: RegExp, what: string): string {
  if (text !== undefined && rule.test(text)) return text;
  throw new KilnError('input.invalid', `The delivery does not name ${what} as its provider does.`, {
    next: 'See that the webhook was added for this provider.',
  });
}

/** JSON, or a form with the JSON in `payload`, as GitHub and Gitea send where they are told to. */
function payloadOf({ header, body }: Delivery): unknown {
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(header('content-type') ?? '');
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    return JSON.parse(isForm ? (new URLSearchParams(text).get('payload') ?? '') : text);
  } catch (cause) {
    throw new KilnError('input.invalid', 'The body is not JSON.', {
      cause,
      next: 'Let the provider send JSON: application/json.',
    });
  }
}

/** The last parts of its address are its path at the provider. */
function isOf({ repository }: Webhook, path: string): boolean {
  return path !== '' && `/${repositoryName(repository)}`.toLowerCase().endsWith(`/${path.toLowerCase()}`);
}

function digestOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}

function replayed(firstAtMs: number): KilnError {
  const at = new Date(firstAtMs).toISOString();
  return new KilnError('webhook.replayed', `This body came before, at ${at}, under another delivery’s id.`, {
    next: 'Nothing was started again. To run it again: kiln pipeline retry EXECUTION --from start',
  });
}
