import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import type { HttpParts } from '../http/parts.ts';
import { WEBHOOK_LIMITS } from '../http/webhook-gate.ts';
import { TriggerInbox } from '../pipeline/triggers/inbox.ts';
import { WebhookReceiver } from '../pipeline/webhooks/receiver.ts';
import { WebhookRegistry } from '../pipeline/webhooks/webhook-registry.ts';
import { WebhookSecrets } from '../pipeline/webhooks/webhook-secrets.ts';

/** `folder`: where the secrets are that providers sign with. */
export async function openWebhooks(
  store: Pick<Store, 'webhooks' | 'triggers'>,
  clock: Clock,
  folder: string,
): Promise<HttpParts['webhooks']> {
  const secrets = new WebhookSecrets(folder);
  const registry = new WebhookRegistry({ store: store.webhooks, secrets, randomBytes });
  await registry.sweep();
  const inbox = new TriggerInbox(store.triggers, clock, randomUUID);
  const receiver = new WebhookReceiver({ store: store.webhooks, secrets, inbox });
  return { receiver, registry, limits: WEBHOOK_LIMITS };
}
