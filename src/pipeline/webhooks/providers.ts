/** Every provider that webhooks are taken from: one file each. */
import { bitbucket } from './bitbucket.ts';
import { bitbucketServer } from './bitbucket-server.ts';
import { gitea } from './gitea.ts';
import { github } from './github.ts';
import { gitlab } from './gitlab.ts';
import type { Provider, ProviderName } from './provider.ts';

export const PROVIDERS: Readonly<Record<ProviderName, Provider>> = {
  github,
  gitlab,
  gitea,
  bitbucket,
  'bitbucket-server': bitbucketServer,
};
