/** Every provider that webhooks are taken from: one file each. */
import type { WebhookProvider } from '../../domain/webhook.ts';
import { bitbucket } from './bitbucket.ts';
import { bitbucketServer } from './bitbucket-server.ts';
import { gitea } from './gitea.ts';
import { github } from './github.ts';
import { gitlab } from './gitlab.ts';
import type { Provider } from './provider.ts';

export const PROVIDERS: Readonly<Record<WebhookProvider, Provider>> = {
  github,
  gitlab,
  gitea,
  bitbucket,
  'bitbucket-server': bitbucketServer,
};
