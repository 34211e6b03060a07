/**
 * Webhooks: their management, and the one address of the server that takes no token. Who may call that is decided by
 * the signature alone, so it answers as little as possible until that holds.
 */
import type { Context } from 'hono';
import { KilnError } from '../domain/errors.ts';
import type { Webhook } from '../domain/webhook.ts';
import { jsonAnswer } from './answers.ts';
import type { KilnHono, Operations, Variables } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';
import { WebhookGate } from './webhook-gate.ts';

const WEBHOOK_ROOT = '/webhooks';

/** Before the middleware that asks for a token. */
export function receiveWebhooks(app: KilnHono, { webhooks, clock }: HttpParts): void {
  const gate = new WebhookGate(webhooks.limits);
  app.post(`${WEBHOOK_ROOT}/:name`, (context) => {
    context.set('operation', 'webhooks.receive');
    const header = headersOf(context);
    return gate.within(context.req.raw, async (body) => {
      const receipt = await webhooks.receiver.receive(context.req.param('name'), {
        header,
        body,
        atMs: clock.now(),
      });
      return jsonAnswer(receipt.outcome === 'taken' && !receipt.again ? 202 : 200, receipt);
    });
  });
  app.all(`${WEBHOOK_ROOT}/:name`, (context) => {
    throw new KilnError('input.method', `${context.req.method} is not possible here.`, {
      next: 'Use POST.',
      details: { allow: 'POST' },
    });
  });
}

function headersOf(context: Context<{ Variables: Variables }>): (name: string) => string | undefined {
  return (name) => context.req.header(name);
}

export function serveWebhooks(operations: Operations, { store, webhooks, clock }: HttpParts): void {
  const change = (actor: string, attempt: { key: string; attempt: string } | undefined) => ({
    actor,
    atMs: clock.now(),
    ...present({ attempt }),
  });

  operations.json('webhooks.list', async () => ({ items: (await store.webhooks.list()).map(view) }));

  operations.json(
    'webhooks.add',
    async ({ body }, { actor, attempt }) => {
      const { webhook, secret } = await webhooks.registry.add(body, change(actor.name, attempt));
      return { webhook: view(webhook), secret };
    },
    {
      remember: ({ webhook }) => ({ webhook }),
      // Its secret is lost with the answer: whoever asks again sees which one to remove.
      async recover(made) {
        const webhook = await store.webhooks.get(made);
        return webhook && { webhook: view(webhook) };
      },
    },
  );

  operations.json(
    'webhooks.remove',
    async ({ params }, { actor, attempt }) => {
      await webhooks.registry.remove(params.name, change(actor.name, attempt));
      return { removed: params.name };
    },
    { recover: async (made) => ({ removed: made }) },
  );
}

function view({ id: _, serverUrl, ...webhook }: Webhook) {
  return { ...webhook, url: `${serverUrl.replace(/\/+$/, '')}${WEBHOOK_ROOT}/${webhook.name}` };
}
