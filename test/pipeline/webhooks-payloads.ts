/**
 * Deliveries in the form that each provider documents, with the fields around those that are read, and shortened:
 * lists of links, avatars and the like are left out.
 */
import { createHmac } from 'node:crypto';
import type { WebhookProvider } from '../../src/domain/webhook.ts';
import type { Delivery } from '../../src/pipeline/webhooks/provider.ts';

export const BEFORE = '6113728f27ae82c7b1a177c8d03f9e96e0adf246';
export const AFTER = '1481a2de7b2a7d02428ad93446ab166be7793fbb';
export const NOTHING = '0'.repeat(40);

const commit = {
  id: AFTER,
  tree_id: 'f9d2a07e9488b91af2641b26b9407fe22a451433',
  distinct: true,
  message: 'Update README.md',
  timestamp: '2026-01-13T15:39:47+01:00',
  url: `https://github.com/octocat/Hello-World/commit/${AFTER}`,
  author: { name: 'Monalisa Octocat', email: 'mona@github.com', username: 'octocat' },
  committer: { name: 'Monalisa Octocat', email: 'mona@github.com', username: 'octocat' },
  added: ['docs/new.md'],
  removed: [],
  modified: ['README.md'],
};

const githubRepository = {
  id: 1296269,
  node_id: 'MDEwOlJlcG9zaXRvcnkxMjk2MjY5',
  name: 'Hello-World',
  full_name: 'octocat/Hello-World',
  private: false,
  owner: { name: 'octocat', login: 'octocat', id: 1, type: 'User' },
  html_url: 'https://github.com/octocat/Hello-World',
  clone_url: 'https://github.com/octocat/Hello-World.git',
  ssh_url: 'git@github.com:octocat/Hello-World.git',
  fork: false,
  default_branch: 'main',
  pushed_at: 1768315187,
};

export function githubPush(more: object = {}): object {
  return {
    ref: 'refs/heads/main',
    before: BEFORE,
    after: AFTER,
    repository: githubRepository,
    pusher: { name: 'octocat', email: 'mona@github.com' },
    sender: { login: 'octocat', id: 1, type: 'User' },
    created: false,
    deleted: false,
    forced: false,
    base_ref: null,
    compare: 'https://github.com/octocat/Hello-World/compare/6113728f27ae...1481a2de7b2a',
    commits: [commit],
    head_commit: commit,
    ...more,
  };
}

export function githubPullRequest(action: string, headRepository: object | null = githubRepository): object {
  return {
    action,
    number: 2,
    pull_request: {
      url: 'https://api.github.com/repos/octocat/Hello-World/pulls/2',
      id: 279147437,
      html_url: 'https://github.com/octocat/Hello-World/pull/2',
      number: 2,
      state: 'open',
      title: 'Update the README with new information.',
      user: { login: 'octocat', id: 1 },
      head: { label: 'octocat:changes', ref: 'changes', sha: AFTER, repo: headRepository },
      base: { label: 'octocat:main', ref: 'main', sha: BEFORE, repo: githubRepository },
      draft: false,
      merged: false,
    },
    repository: githubRepository,
    sender: { login: 'octocat', id: 1, type: 'User' },
  };
}

export const githubFork = { ...githubRepository, id: 9, full_name: 'stranger/Hello-World', fork: true };

export const githubPing = {
  zen: 'Non-blocking is better than blocking.',
  hook_id: 109948940,
  hook: { type: 'Repository', id: 109948940, name: 'web', active: true, events: ['push'] },
  repository: githubRepository,
  sender: { login: 'octocat', id: 1 },
};

export const githubCreate = {
  ref: 'v1.0.0',
  ref_type: 'tag',
  master_branch: 'main',
  description: null,
  pusher_type: 'user',
  repository: githubRepository,
  sender: { login: 'octocat', id: 1 },
};

const gitlabProject = {
  id: 15,
  name: 'Diaspora',
  description: '',
  web_url: 'http://example.com/mike/diaspora',
  git_ssh_url: 'git@example.com:mike/diaspora.git',
  git_http_url: 'http://example.com/mike/diaspora.git',
  namespace: 'Mike',
  visibility_level: 0,
  path_with_namespace: 'mike/diaspora',
  default_branch: 'master',
};

export function gitlabPush(more: object = {}): object {
  return {
    object_kind: 'push',
    event_name: 'push',
    before: '95790bf891e76fee5e1747ab589903a6a1f80f22',
    after: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
    ref: 'refs/heads/master',
    ref_protected: true,
    checkout_sha: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
    user_id: 4,
    user_name: 'John Smith',
    user_username: 'jsmith',
    project_id: 15,
    project: gitlabProject,
    commits: [
      {
        id: 'b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327',
        message: 'Update Catalan translation to e38cb41.',
        timestamp: '2011-12-12T14:27:31+02:00',
        author: { name: 'Jordi Mallach', email: 'jordi@softcatala.org' },
        added: ['CHANGELOG'],
        modified: ['app/controller/application.rb'],
        removed: [],
      },
      {
        id: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
        message: 'fixed readme',
        timestamp: '2012-01-03T23:36:29+02:00',
        author: { name: 'GitLab dev user', email: 'gitlabdev@dv6700.(none)' },
        added: ['CHANGELOG'],
        modified: ['app/controller/application.rb'],
        removed: [],
      },
    ],
    total_commits_count: 2,
    ...more,
  };
}

export const gitlabTagPush = gitlabPush({
  object_kind: 'tag_push',
  event_name: 'tag_push',
  before: NOTHING,
  // Of an annotated tag: the tag's own object, while checkout_sha is the commit.
  after: '82b3d5ae55f7080f1e6022629cdb57bfae7cccc7',
  ref: 'refs/tags/v1.0.0',
  checkout_sha: '5937ac0a7beb003549fc5fd26fc247adbce4a52e',
  commits: [],
  total_commits_count: 0,
});

export function gitlabMergeRequest(more: object = {}): object {
  return {
    object_kind: 'merge_request',
    event_type: 'merge_request',
    user: { id: 1, name: 'Administrator', username: 'root', email: 'admin@example.com' },
    project: gitlabProject,
    object_attributes: {
      id: 99,
      iid: 1,
      target_branch: 'master',
      source_branch: 'ms-viewport',
      source_project_id: 15,
      target_project_id: 15,
      title: 'MS-Viewport',
      state: 'opened',
      url: 'http://example.com/diaspora/merge_requests/1',
      source: gitlabProject,
      target: gitlabProject,
      last_commit: { id: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7', message: 'fixed readme' },
      action: 'open',
      ...more,
    },
    labels: [],
    changes: {},
  };
}

const giteaRepository = {
  id: 140,
  owner: { id: 1, login: 'gitea', full_name: 'Gitea', username: 'gitea' },
  name: 'webhooks',
  full_name: 'gitea/webhooks',
  html_url: 'http://localhost:3000/gitea/webhooks',
  ssh_url: 'ssh://gitea@localhost:2222/gitea/webhooks.git',
  clone_url: 'http://localhost:3000/gitea/webhooks.git',
  default_branch: 'master',
  updated_at: '2017-03-13T13:51:58-04:00',
};

export function giteaPush(more: object = {}): object {
  return {
    ref: 'refs/heads/develop',
    before: '28e1879d029cb852e4844d9c718537df08844e03',
    after: 'bffeb74224043ba2feb48d137756c8a9331c449a',
    compare_url: 'http://localhost:3000/gitea/webhooks/compare/28e1879d029c...bffeb7422404',
    commits: [
      {
        id: 'bffeb74224043ba2feb48d137756c8a9331c449a',
        message: 'Webhooks Yay!',
        author: { name: 'Gitea', email: 'someone@gitea.io', username: 'gitea' },
        timestamp: '2017-03-13T13:52:11-04:00',
        added: [],
        removed: [],
        modified: ['hooks.md'],
      },
    ],
    total_commits: 1,
    repository: giteaRepository,
    pusher: { id: 1, login: 'gitea', username: 'gitea' },
    sender: { id: 1, login: 'gitea', username: 'gitea' },
    ...more,
  };
}

export const giteaPullRequest = {
  action: 'synchronized',
  number: 2,
  pull_request: {
    id: 11,
    title: 'huge improvements',
    state: 'open',
    html_url: 'http://localhost:3000/gitea/webhooks/pulls/2',
    head: {
      label: 'feature',
      ref: 'feature',
      sha: AFTER,
      repo_id: 141,
      repo: { full_name: 'other/webhooks' },
    },
    base: { label: 'master', ref: 'master', sha: BEFORE, repo_id: 140, repo: giteaRepository },
  },
  repository: giteaRepository,
  sender: { id: 2, login: 'other' },
};

const bitbucketRepository = {
  type: 'repository',
  full_name: 'team_name/repo_name',
  name: 'repo_name',
  uuid: '{673a6070-3421-46c9-9d48-90745f7bfe8e}',
  scm: 'git',
  is_private: true,
};
const bitbucketActor = { type: 'user', display_name: 'Emma', nickname: 'emmap1', uuid: '{a54f16da-24e9}' };

const bitbucketBranch = (name: string, hash: string, type = 'branch') => ({
  type,
  name,
  target: { type: 'commit', hash, author: { type: 'author' }, message: 'new commit message\n' },
});

export const bitbucketPush = {
  actor: bitbucketActor,
  repository: bitbucketRepository,
  push: {
    changes: [
      {
        new: bitbucketBranch('name-of-branch', '709d658dc5b6d6afcd46049c2f332ee3f515a67d'),
        old: bitbucketBranch('name-of-branch', '1e65c05c1d5171631d92438a13901ca7dae9618c'),
        created: false,
        forced: false,
        closed: false,
        truncated: false,
        commits: [{ hash: '709d658dc5b6d6afcd46049c2f332ee3f515a67d', type: 'commit', message: 'new' }],
      },
      { new: bitbucketBranch('v2', AFTER, 'tag'), old: null, created: true, forced: false, closed: false },
      { new: null, old: bitbucketBranch('gone', BEFORE), created: false, forced: false, closed: true },
    ],
  },
};

export const bitbucketPullRequest = {
  actor: bitbucketActor,
  repository: bitbucketRepository,
  pullrequest: {
    id: 1,
    title: 'Title of pull request',
    state: 'OPEN',
    author: bitbucketActor,
    source: {
      branch: { name: 'branch2' },
      commit: { hash: 'd3022fc0ca3d' },
      repository: bitbucketRepository,
    },
    destination: {
      branch: { name: 'master' },
      commit: { hash: 'ce5965ddd289' },
      repository: bitbucketRepository,
    },
    links: {
      self: { href: 'https://api.bitbucket.org/api/2.0/pullrequests/pullrequest_id' },
      html: { href: 'https://api.bitbucket.org/pullrequest_id' },
    },
  },
};

const dataCenterRepository = {
  slug: 'repository',
  id: 84,
  name: 'repository',
  scmId: 'git',
  state: 'AVAILABLE',
  forkable: true,
  project: { key: 'PROJ', id: 84, name: 'project', public: false, type: 'NORMAL' },
  public: false,
};
const admin = { name: 'admin', emailAddress: 'admin@example.com', id: 1, displayName: 'Administrator' };

export const dataCenterPush = {
  eventKey: 'repo:refs_changed',
  date: '2017-09-19T09:58:11+1000',
  actor: admin,
  repository: dataCenterRepository,
  changes: [
    {
      ref: { id: 'refs/heads/master', displayId: 'master', type: 'BRANCH' },
      refId: 'refs/heads/master',
      fromHash: 'ecddabb624f6f5ba43816f5926e580a5f680a932',
      toHash: '178864a7d521b6f5e720b386b2c2b0ef8563e0dc',
      type: 'UPDATE',
    },
  ],
};

export const dataCenterPullRequest = {
  eventKey: 'pr:opened',
  date: '2017-09-19T09:58:11+1000',
  actor: admin,
  pullRequest: {
    id: 1,
    version: 0,
    title: 'a new file added',
    state: 'OPEN',
    fromRef: {
      id: 'refs/heads/a-branch',
      displayId: 'a-branch',
      latestCommit: 'ef8755f06ee4b28c96a847a95cb8ec8ed6ddd1ca',
      repository: { ...dataCenterRepository, project: { key: '~stranger', id: 2, type: 'PERSONAL' } },
    },
    toRef: {
      id: 'refs/heads/master',
      displayId: 'master',
      latestCommit: '178864a7d521b6f5e720b386b2c2b0ef8563e0dc',
      repository: dataCenterRepository,
    },
    locked: false,
    links: {
      self: [{ href: 'https://bitbucket.example.com/projects/PROJ/repos/repository/pull-requests/1' }],
    },
  },
};

/** The headers that a provider sends with an event, signed as it signs. */
export function headersOf(
  provider: WebhookProvider,
  event: string,
  body: string,
  secret: string,
  id: string = crypto.randomUUID(),
): Record<string, string> {
  const hmac = createHmac('sha256', secret).update(body).digest('hex');
  switch (provider) {
    case 'github':
      return { 'x-github-event': event, 'x-github-delivery': id, 'x-hub-signature-256': `sha256=${hmac}` };
    case 'gitlab':
      return { 'x-gitlab-event': event, 'x-gitlab-event-uuid': id, 'x-gitlab-token': secret };
    case 'gitea':
      return {
        'x-gitea-event': event,
        'x-gitea-delivery': id,
        'x-github-event': event,
        'x-github-delivery': id,
        'x-gitea-signature': hmac,
        'x-hub-signature-256': `sha256=${hmac}`,
      };
    case 'bitbucket':
      return { 'x-event-key': event, 'x-request-uuid': id, 'x-hub-signature': `sha256=${hmac}` };
    case 'bitbucket-server':
      return { 'x-event-key': event, 'x-request-id': id, 'x-hub-signature': `sha256=${hmac}` };
  }
}

export function delivery(headers: Readonly<Record<string, string>>, body: string, atMs = 0): Delivery {
  return { header: (name) => headers[name], body: Buffer.from(body), atMs };
}
