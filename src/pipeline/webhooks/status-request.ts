/** What a provider is asked so that a commit gets a status. Pure: each as its API documents it. */
import type { CommitState, WebhookProvider } from '../../domain/webhook.ts';
import { repositoryName } from '../triggers/repository-name.ts';

export interface StatusWish {
  readonly provider: WebhookProvider;
  readonly api: string;
  /** Address of the repository. */
  readonly repository: string;
  readonly commit: string;
  readonly state: CommitState;
  /** Equal for every status of one pipeline: the newest replaces those before it. */
  readonly context: string;
  readonly description: string;
  /** What people see of it. */
  readonly targetUrl: string;
}

export interface StatusRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, string>>;
}

const WORDS: Readonly<Record<WebhookProvider, Readonly<Record<CommitState, string>>>> = {
  // https://docs.github.com/en/rest/commits/statuses#create-a-commit-status
  github: { pending: 'pending', success: 'success', failure: 'failure', cancelled: 'error' },
  // https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
  gitlab: { pending: 'pending', success: 'success', failure: 'failed', cancelled: 'canceled' },
  // https://docs.gitea.com/api/ — POST /repos/{owner}/{repo}/statuses/{sha}
  gitea: { pending: 'pending', success: 'success', failure: 'failure', cancelled: 'error' },
  // https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/
  bitbucket: { pending: 'INPROGRESS', success: 'SUCCESSFUL', failure: 'FAILED', cancelled: 'STOPPED' },
  // https://developer.atlassian.com/server/bitbucket/rest/ — POST /build-status/1.0/commits/{commitId}
  'bitbucket-server': {
    pending: 'INPROGRESS',
    success: 'SUCCESSFUL',
    failure: 'FAILED',
    cancelled: 'FAILED',
  },
};

/** GitHub's limit of a description, and the lowest of all. */
const DESCRIPTION_LENGTH = 140;
/** Bitbucket's limit of a key. */
const KEY_LENGTH = 40;

export function statusRequest(wish: StatusWish, token: string): StatusRequest {
  const { provider, api, commit, context, targetUrl } = wish;
  const path = pathAtProvider(wish.repository);
  const description = wish.description.slice(0, DESCRIPTION_LENGTH);
  const state = WORDS[provider][wish.state];
  const key = context.slice(0, KEY_LENGTH);
  const bearer = { authorization: `Bearer ${token}` };
  switch (provider) {
    case 'github':
      return {
        url: `${api}/repos/${path}/statuses/${commit}`,
        headers: { ...bearer, accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' },
        body: { state, context, description, target_url: targetUrl },
      };
    case 'gitea':
      return {
        url: `${api}/repos/${path}/statuses/${commit}`,
        headers: { authorization: `token ${token}`, accept: 'application/json' },
        body: { state, context, description, target_url: targetUrl },
      };
    case 'gitlab':
      return {
        url: `${api}/projects/${encodeURIComponent(path)}/statuses/${commit}`,
        headers: { 'private-token': token },
        body: { state, name: context, description, target_url: targetUrl },
      };
    case 'bitbucket':
      return {
        url: `${api}/repositories/${path}/commit/${commit}/statuses/build`,
        headers: bearer,
        body: { key, state, name: context, description, url: targetUrl },
      };
    case 'bitbucket-server':
      return {
        url: `${api}/build-status/1.0/commits/${commit}`,
        headers: bearer,
        body: { key, state, name: context, description, url: targetUrl },
      };
  }
}

/** Whether it was taken, needs no more, or is to be tried again. */
export function wasTaken(provider: WebhookProvider, status: number, answer: string): boolean {
  if (status >= 200 && status < 300) return true;
  // GitLab refuses the state that the commit has: then it was told before.
  return provider === 'gitlab' && status === 400 && /Cannot transition status/i.test(answer);
}

/** Where the API of the host is that the repository is at; undefined where that does not say. */
export function statusApiOf(provider: WebhookProvider, repository: string): string | undefined {
  const [host] = repositoryName(repository).split('/', 1);
  if (host === undefined || host === '') return undefined;
  // A port of git over SSH says nothing of where the web is.
  const [name] = repository.startsWith('ssh://') ? host.split(':', 1) : [host];
  switch (provider) {
    case 'github':
      return name === 'github.com' ? 'https://api.github.com' : `https://${name}/api/v3`;
    case 'gitlab':
      return `https://${name}/api/v4`;
    case 'gitea':
      return `https://${name}/api/v1`;
    case 'bitbucket':
      return 'https://api.bitbucket.org/2.0';
    case 'bitbucket-server':
      return `https://${name}/rest`;
  }
}

/** Everything behind the host: `octocat/hello-world`, of GitLab with all groups before it. */
function pathAtProvider(repository: string): string {
  const [, ...parts] = repositoryName(repository).split('/');
  return parts.join('/');
}
