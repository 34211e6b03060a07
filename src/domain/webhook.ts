/** Where a provider tells Kiln what happened to a repository, and how Kiln tells it back what came of a commit. */

export const WEBHOOK_PROVIDERS = ['github', 'gitlab', 'gitea', 'bitbucket', 'bitbucket-server'] as const;
export type WebhookProvider = (typeof WEBHOOK_PROVIDERS)[number];

/** Its secret is not in it: that is kept beside it, sealed. */
export interface Webhook {
  /** Part of the address that the provider calls. */
  readonly name: string;
  /** Names its secret; another one of the same name has another. */
  readonly id: string;
  readonly provider: WebhookProvider;
  /** Address of the one repository that it speaks for: nothing that a payload says is ever fetched from. */
  readonly repository: string;
  /** Where people and the provider reach this server: `https://kiln.example.com`. */
  readonly serverUrl: string;
  /** Absent: commits are told nothing. */
  readonly status?: StatusWay;
  readonly createdAtMs: number;
  readonly createdBy: string;
}

export interface StatusWay {
  /** Where the provider's API is: `https://api.github.com`. */
  readonly api: string;
  /** Name of the server's secret that holds the token. */
  readonly secret: string;
}

/** What a commit is told: the words of Kiln, which every provider has its own for. */
export type CommitState = 'pending' | 'success' | 'failure' | 'cancelled';
