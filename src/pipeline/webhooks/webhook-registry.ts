/** Adding webhooks, and taking them away. */
import type { Change } from '../../domain/change.ts';
import { KilnError } from '../../domain/errors.ts';
import type { WebhookStore } from '../../domain/ports/webhooks.ts';
import type { Webhook, WebhookProvider } from '../../domain/webhook.ts';
import { repositoryUrl } from '../checkout/repository-url.ts';
import { statusApiOf } from './status-request.ts';
import type { WebhookSecrets } from './webhook-secrets.ts';

const SECRET_BYTES = 32;
const ID_BYTES = 16;

export interface WebhookWish {
  readonly name: string;
  readonly provider: WebhookProvider;
  readonly repository: string;
  readonly serverUrl: string;
  readonly status?: { readonly api?: string | undefined; readonly secret: string } | undefined;
}

interface RegistryParts {
  readonly store: Pick<WebhookStore, 'add' | 'remove'>;
  readonly secrets: Pick<WebhookSecrets, 'seal'>;
  readonly randomBytes: (count: number) => Uint8Array;
}

export class WebhookRegistry {
  readonly #parts: RegistryParts;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
  }

  /** The secret is answered this once. */
  async add(wish: WebhookWish, change: Change): Promise<{ webhook: Webhook; secret: string }> {
    const { store, secrets, randomBytes } = this.#parts;
    const { name, provider, serverUrl } = wish;
    const { url: repository } = repositoryUrl(wish.repository);
    const status = statusWay(wish, repository);
    const id = Buffer.from(randomBytes(ID_BYTES)).toString('hex');
    const secret = newSecret(provider, randomBytes(SECRET_BYTES));
    const webhook = { name, id, provider, repository, serverUrl, ...(status && { status }) };
    return { webhook: await store.add(webhook, await secrets.seal(id, secret), change), secret };
  }

  remove(name: string, change: Change): Promise<void> {
    return this.#parts.store.remove(name, change);
  }
}

/** GitLab takes only the form of Standard Webhooks for a key that it signs with. */
function newSecret(provider: WebhookProvider, bytes: Uint8Array): string {
  if (provider === 'gitlab') return `whsec_${Buffer.from(bytes).toString('base64')}`;
  return Buffer.from(bytes).toString('hex');
}

function statusWay({ provider, status }: WebhookWish, repository: string): Webhook['status'] {
  if (status === undefined) return undefined;
  const api = status.api ?? statusApiOf(provider, repository);
  if (api !== undefined) return { api: api.replace(/\/+$/, ''), secret: status.secret };
  throw new KilnError(
    'input.invalid',
    `Where the API of ${repository} is does not follow from its address.`,
    {
      next: 'Name it: --status-api https://…',
      faults: [{ path: 'status.api', message: 'is needed here' }],
    },
  );
}
