import { z } from '@hono/zod-openapi';
import { WEBHOOK_PROVIDERS } from '../domain/webhook.ts';
import { atMs } from './names.ts';

const webhookName = z
  .string()
  .regex(/^[a-z](?:-?[a-z0-9]){0,39}$/, {
    error: 'expected lower-case letters, digits and single dashes, beginning with a letter',
  })
  .openapi({ description: 'Part of the address that the provider calls', example: 'shop' });

const webUrl = z.url({ protocol: /^https?$/ }).max(500);

const status = z
  .strictObject({
    api: webUrl.openapi({ description: 'The provider’s API', example: 'https://api.github.com' }),
    secret: z.string().openapi({ description: 'Name of the server’s secret that holds the token' }),
  })
  .openapi('WebhookStatus');

const webhookView = z
  .object({
    name: z.string(),
    provider: z.enum(WEBHOOK_PROVIDERS),
    repository: z.string(),
    url: z.string().openapi({ description: 'What the provider is to call' }),
    status: status.optional().openapi({ description: 'Absent: commits are told nothing' }),
    createdAtMs: atMs,
    createdBy: z.string(),
  })
  .openapi('Webhook');

export const webhooks = {
  'webhooks.list': { answer: z.object({ items: z.array(webhookView) }).openapi('Webhooks') },
  'webhooks.add': {
    body: z
      .strictObject({
        name: webhookName,
        provider: z.enum(WEBHOOK_PROVIDERS),
        repository: z
          .string()
          .min(1)
          .max(500)
          .openapi({ description: 'Its address, as pipelines that watch it name it' }),
        serverUrl: webUrl.openapi({
          description: 'Where the provider, and people, reach this server',
          example: 'https://kiln.example.com',
        }),
        status: z
          .strictObject({
            api: webUrl.optional().openapi({ description: 'Absent: what the repository’s host says' }),
            secret: z
              .string()
              .regex(/^[A-Za-z0-9][\w.-]{0,99}$/, { error: 'expected the name of a secret' })
              .openapi({ description: 'Name of a secret of the server: a token for statuses of commits' }),
          })
          .optional(),
      })
      .openapi('WebhookRequest'),
    answer: z
      .object({
        webhook: webhookView,
        secret: z.string().optional().openapi({
          description: 'Shown this once: absent when the same Idempotency-Key asks again',
        }),
      })
      .openapi('AddedWebhook'),
  },
  'webhooks.remove': {
    params: z.strictObject({ name: webhookName }),
    answer: z.object({ removed: z.string() }).openapi('RemovedWebhook'),
  },
};
