import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import type { HttpParts } from '../http/parts.ts';
import { WEBHOOK_LIMITS } from '../http/webhook-gate.ts';
import { secretFolder } from '../pipeline/commands/secret-folder.ts';
import { TriggerInbox } from '../pipeline/triggers/inbox.ts';
import { WebhookReceiver } from '../pipeline/webhooks/receiver.ts';
import { StatusReporter } from '../pipeline/webhooks/status-reporter.ts';
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

/** Has begun already. `folder`: where the server's secrets are. */
export function reportStatuses(store: Store, clock: Clock, folder: string, log: Logger): StatusReporter {
  const { webhooks, triggers, executions, events } = store;
  const reporter = new StatusReporter({
    store: webhooks,
    cursors: triggers,
    executions,
    events,
    secrets: secretFolder(folder),
    fetch,
    clock,
    log,
    random: Math.random,
  });
  reporter.start();
  return reporter;
}
