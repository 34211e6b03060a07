import { randomBytes, randomUUID } from 'node:crypto';
import path from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import type { WebhookStore } from '../domain/ports/webhooks.ts';
import { readIfThere, removeFile } from '../files/durable-file.ts';
import { namesIn } from '../files/names-in.ts';
import type { HttpParts } from '../http/parts.ts';
import { WEBHOOK_LIMITS } from '../http/webhook-gate.ts';
import { secretFolder } from '../pipeline/commands/secret-folder.ts';
import { TriggerInbox } from '../pipeline/triggers/inbox.ts';
import { WebhookReceiver } from '../pipeline/webhooks/receiver.ts';
import { StatusReporter } from '../pipeline/webhooks/status-reporter.ts';
import { WebhookRegistry } from '../pipeline/webhooks/webhook-registry.ts';
import { type Sealing, WebhookSecrets } from '../pipeline/webhooks/webhook-secrets.ts';

export async function openWebhooks(
  store: Pick<Store, 'webhooks' | 'triggers'>,
  clock: Clock,
  key: Sealing,
  /** Where servers kept secrets before the store did. */
  oldFolder: string,
  log: Pick<Logger, 'warn'>,
): Promise<HttpParts['webhooks']> {
  const secrets = new WebhookSecrets(store.webhooks, key);
  const registry = new WebhookRegistry({ store: store.webhooks, secrets, randomBytes });
  await bringOldSecrets(store.webhooks, secrets, oldFolder).catch((error: unknown) =>
    log.warn({ err: error }, 'webhooks cannot be taken here'),
  );
  const inbox = new TriggerInbox(store.triggers, clock, randomUUID);
  const receiver = new WebhookReceiver({ store: store.webhooks, secrets, inbox });
  return { receiver, registry, limits: WEBHOOK_LIMITS };
}

/** Files of the server that a webhook was added at: each goes once it is in the store, or its webhook is no more. */
async function bringOldSecrets(
  store: Pick<WebhookStore, 'list' | 'bringSecret'>,
  secrets: WebhookSecrets,
  folder: string,
): Promise<void> {
  // Also where there are none: that the key is another one is told at the start, and not by the first delivery alone.
  await secrets.read('');
  const known = new Set((await store.list()).map(({ id }) => id));
  for (const id of await namesIn(folder)) {
    const file = path.join(folder, id);
    const secret = known.has(id) ? await readIfThere(file) : undefined;
    if (secret !== undefined) await store.bringSecret(id, await secrets.seal(id, secret));
    await removeFile(file);
  }
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
