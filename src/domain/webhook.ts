/** Where a provider tells Kiln what happened to a repository, and how Kiln tells it back what came of a commit. */

export const WEBHOOK_PROVIDERS = ['github', 'gitlab', 'gitea', 'bitbucket', 'bitbucket-server'] as const;
export type WebhookProvider = (typeof WEBHOOK_PROVIDERS)[number];

/** Its secret, and the token that statuses are reported with, are not in it: they are kept beside the store. */
export interface Webhook {
  /** Part of the address that the provider calls. */
  readonly name: string;
  readonly provider: WebhookProvider;
  /** Address of the one repository that it speaks for: nothing that a payload says is ever fetched from. */
  readonly repository: string;
  /** Where people and the provider reach this server: `https://kiln.example.com`. */
  readonly serverUrl: string;
  /** Where the provider's API is; absent: commits get no statuses. */
  readonly statusApi?: string;
  readonly createdAtMs: number;
  readonly createdBy: string;
}

/** What a commit is told: the words of Kiln, which every provider has its own for. */
export type CommitState = 'pending' | 'success' | 'failure' | 'cancelled';
