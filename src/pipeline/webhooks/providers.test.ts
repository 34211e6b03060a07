import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AFTER,
  BEFORE,
  bitbucketPullRequest,
  bitbucketPush,
  dataCenterPullRequest,
  dataCenterPush,
  delivery,
  giteaPullRequest,
  giteaPush,
  githubCreate,
  githubFork,
  githubPing,
  githubPullRequest,
  githubPush,
  gitlabMergeRequest,
  gitlabPush,
  gitlabTagPush,
  headersOf,
  NOTHING,
} from '../../../test/pipeline/webhooks-payloads.ts';
import { KilnError } from '../../domain/errors.ts';
import { WEBHOOK_PROVIDERS } from '../../domain/webhook.ts';
import type { Reading, RepositoryChange } from './provider.ts';
import { PROVIDERS } from './providers.ts';

const { github, gitlab, gitea, bitbucket, 'bitbucket-server': dataCenter } = PROVIDERS;
const BODY = '{"a": 1}';

describe('signatures', () => {
  it('are those that GitHub, Bitbucket and Standard Webhooks publish as examples', () => {
    const secret = "It's a Secret to Everybody";
    const ofGithub = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
    expect(github.isSigned(delivery({ 'x-hub-signature-256': ofGithub }, 'Hello, World!'), secret)).toBe(
      true,
    );
    const ofBitbucket = 'sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9';
    expect(bitbucket.isSigned(delivery({ 'x-hub-signature': ofBitbucket }, 'Hello World!'), secret)).toBe(
      true,
    );
    const ofStandard = {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    };
    const key = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const signed = (atMs: number, more = {}) =>
      gitlab.isSigned(delivery({ ...ofStandard, ...more }, '{"test": 2432232314}', atMs), key);
    expect(signed(1614265330_000)).toBe(true);
    const rotated = `v1,${Buffer.alloc(32).toString('base64')} ${ofStandard['webhook-signature']}`;
    expect(signed(1614265330_000, { 'webhook-signature': rotated })).toBe(true);
    // Kept back for longer than Standard Webhooks allows, or with another id.
    expect(signed(1614265330_000 + 301_000)).toBe(false);
    expect(signed(1614265330_000, { 'webhook-id': 'msg_other' })).toBe(false);
    // A wrong signature is not made good by the plain token.
    expect(signed(1614265330_000, { 'webhook-signature': 'v1,AA==', 'x-gitlab-token': key })).toBe(false);
  });

  it.each(WEBHOOK_PROVIDERS)('of %s hold for the very bytes and the very secret only', (name) => {
    const provider = PROVIDERS[name];
    const headers = headersOf(name, 'push', BODY, 'secret');
    expect(provider.isSigned(delivery(headers, BODY), 'secret')).toBe(true);
    expect(provider.isSigned(delivery(headers, BODY), 'other')).toBe(false);
    expect(provider.isSigned(delivery(headers, BODY), '')).toBe(false);
    expect(provider.isSigned(delivery({}, BODY), 'secret')).toBe(false);
    expect(provider.isSigned(delivery({}, BODY), '')).toBe(false);
    if (name !== 'gitlab') expect(provider.isSigned(delivery(headers, `${BODY} `), 'secret')).toBe(false);
  });

  it('never hold for what nobody signed', () => {
    const names = ['x-hub-signature-256', 'x-hub-signature', 'x-gitea-signature', 'x-gitlab-token'];
    const forged = fc.dictionary(
      fc.constantFrom(...names, 'webhook-signature', 'webhook-id', 'webhook-timestamp'),
      fc.oneof(fc.string(), fc.constantFrom('sha256=', `sha256=${'0'.repeat(64)}`, '0'.repeat(64), 'v1,')),
    );
    fc.assert(
      fc.property(fc.constantFrom(...WEBHOOK_PROVIDERS), forged, fc.string(), (name, headers, body) => {
        expect(PROVIDERS[name].isSigned(delivery(headers, body), 'a secret of 32 bytes, as it is made')).toBe(
          false,
        );
      }),
    );
  });

  it('of Forgejo count before those it sends for the sake of others', () => {
    const headers = headersOf('gitea', 'push', BODY, 'secret');
    expect(
      gitea.isSigned(delivery({ ...headers, 'x-forgejo-signature': 'f'.repeat(64) }, BODY), 'secret'),
    ).toBe(false);
    const compatible = { 'x-hub-signature-256': headers['x-hub-signature-256'] ?? '' };
    expect(gitea.isSigned(delivery(compatible, BODY), 'secret')).toBe(true);
  });
});

function only(reading: Reading): RepositoryChange & { readonly repository: string } {
  const [change, ...more] = reading.kind === 'changes' ? reading.changes : [];
  if (reading.kind !== 'changes' || change === undefined || more.length > 0)
    throw new Error(JSON.stringify(reading));
  return { ...change, repository: reading.repository };
}

describe('GitHub', () => {
  it('tells of pushes to branches and tags, with what they changed', () => {
    expect(only(github.read('push', githubPush()))).toEqual({
      kind: 'push',
      repository: 'octocat/Hello-World',
      ref: 'refs/heads/main',
      commit: AFTER,
      before: BEFORE,
      sender: 'octocat',
      paths: ['docs/new.md', 'README.md'],
    });
    const tag = only(github.read('push', githubPush({ ref: 'refs/tags/v1', before: NOTHING })));
    expect(tag).toMatchObject({ kind: 'push', ref: 'refs/tags/v1', commit: AFTER });
    expect(tag).not.toHaveProperty('paths');
    expect(only(github.read('push', githubPush({ forced: true })))).not.toHaveProperty('paths');
    expect(github.read('push', githubPush({ after: NOTHING, commits: [] }))).toEqual({
      kind: 'ignored',
      why: 'refs/heads/main was deleted',
    });
  });

  it('tells of pull requests when there are commits to look at, and of a fork as such', () => {
    expect(only(github.read('pull_request', githubPullRequest('opened')))).toEqual({
      kind: 'pull-request',
      repository: 'octocat/Hello-World',
      ref: 'refs/pull/2/head',
      commit: AFTER,
      sender: 'octocat',
      number: 2,
      title: 'Update the README with new information.',
      base: 'main',
      fromFork: false,
      trusted: true,
    });
    for (const repository of [githubFork, null]) {
      const ofFork = only(github.read('pull_request', githubPullRequest('synchronize', repository)));
      expect(ofFork).toMatchObject({ fromFork: true, trusted: false });
    }
    expect(github.read('pull_request', githubPullRequest('labeled')).kind).toBe('ignored');
  });

  it('knows a ping, and names what it does not act upon', () => {
    expect(github.read('ping', githubPing)).toEqual({ kind: 'ping' });
    expect(github.read('create', githubCreate)).toMatchObject({ kind: 'ignored' });
    expect(github.read('workflow_run', {})).toEqual({
      kind: 'ignored',
      why: 'nothing begins upon "workflow_run"',
    });
  });
});

describe('GitLab', () => {
  it('tells of pushes, of the commit that an annotated tag names, and of merge requests', () => {
    expect(only(gitlab.read('Push Hook', gitlabPush()))).toMatchObject({
      kind: 'push',
      repository: 'mike/diaspora',
      ref: 'refs/heads/master',
      commit: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
      before: '95790bf891e76fee5e1747ab589903a6a1f80f22',
      sender: 'jsmith',
      paths: ['CHANGELOG', 'app/controller/application.rb'],
    });
    // It tells at most twenty commits of a push.
    expect(only(gitlab.read('Push Hook', gitlabPush({ total_commits_count: 25 })))).not.toHaveProperty(
      'paths',
    );
    expect(only(gitlab.read('Tag Push Hook', gitlabTagPush))).toMatchObject({
      kind: 'push',
      ref: 'refs/tags/v1.0.0',
      commit: '5937ac0a7beb003549fc5fd26fc247adbce4a52e',
    });
    expect(only(gitlab.read('Merge Request Hook', gitlabMergeRequest()))).toMatchObject({
      kind: 'pull-request',
      ref: 'refs/merge-requests/1/head',
      commit: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
      number: 1,
      base: 'master',
      trusted: true,
    });
    const updated = { action: 'update', oldrev: BEFORE, source_project_id: 14 };
    expect(only(gitlab.read('Merge Request Hook', gitlabMergeRequest(updated)))).toMatchObject({
      fromFork: true,
      trusted: false,
    });
    const relabelled = gitlab.read('Merge Request Hook', gitlabMergeRequest({ action: 'update' }));
    expect(relabelled.kind).toBe('ignored');
    const deleted = gitlabPush({ after: NOTHING, checkout_sha: null, commits: [], total_commits_count: 0 });
    expect(gitlab.read('Push Hook', deleted).kind).toBe('ignored');
  });
});

describe('Gitea and Forgejo', () => {
  it('tell of pushes and pull requests', () => {
    expect(only(gitea.read('push', giteaPush()))).toMatchObject({
      kind: 'push',
      repository: 'gitea/webhooks',
      ref: 'refs/heads/develop',
      commit: 'bffeb74224043ba2feb48d137756c8a9331c449a',
      sender: 'gitea',
      paths: ['hooks.md'],
    });
    expect(only(gitea.read('push', giteaPush({ total_commits: 9 })))).not.toHaveProperty('paths');
    expect(only(gitea.read('pull_request', giteaPullRequest))).toMatchObject({
      ref: 'refs/pull/2/head',
      number: 2,
      trusted: false,
    });
  });
});

describe('Bitbucket', () => {
  it('Cloud tells of each ref that was pushed, and of pull requests of the repository itself', () => {
    expect(bitbucket.read('repo:push', bitbucketPush)).toEqual({
      kind: 'changes',
      repository: 'team_name/repo_name',
      changes: [
        {
          kind: 'push',
          ref: 'refs/heads/name-of-branch',
          commit: '709d658dc5b6d6afcd46049c2f332ee3f515a67d',
          before: '1e65c05c1d5171631d92438a13901ca7dae9618c',
          sender: 'emmap1',
        },
        { kind: 'push', ref: 'refs/tags/v2', commit: AFTER, sender: 'emmap1' },
      ],
    });
    expect(only(bitbucket.read('pullrequest:created', bitbucketPullRequest))).toMatchObject({
      ref: 'refs/heads/branch2',
      commit: 'd3022fc0ca3d',
      number: 1,
      base: 'master',
      trusted: true,
    });
    const { pullrequest } = bitbucketPullRequest;
    const fork = { ...pullrequest, source: { ...pullrequest.source, repository: null } };
    const ofFork = bitbucket.read('pullrequest:updated', { ...bitbucketPullRequest, pullrequest: fork });
    expect(ofFork.kind).toBe('ignored');
  });

  it('Data Center tells of changed refs, pull requests and its test', () => {
    expect(only(dataCenter.read('repo:refs_changed', dataCenterPush))).toMatchObject({
      kind: 'push',
      repository: 'PROJ/repository',
      ref: 'refs/heads/master',
      commit: '178864a7d521b6f5e720b386b2c2b0ef8563e0dc',
    });
    expect(only(dataCenter.read('pr:opened', dataCenterPullRequest))).toMatchObject({
      repository: 'PROJ/repository',
      ref: 'refs/pull-requests/1/from',
      commit: 'ef8755f06ee4b28c96a847a95cb8ec8ed6ddd1ca',
      number: 1,
      base: 'master',
      trusted: false,
    });
    expect(dataCenter.read('diagnostics:ping', { test: true })).toEqual({ kind: 'ping' });
  });
});

describe('payloads that are not as documented', () => {
  const EVENTS = {
    github: ['push', 'pull_request', 'ping', 'x'],
    gitlab: ['Push Hook', 'Tag Push Hook', 'Merge Request Hook', 'x'],
    gitea: ['push', 'pull_request', 'x'],
    bitbucket: ['repo:push', 'pullrequest:created', 'x'],
    'bitbucket-server': ['repo:refs_changed', 'pr:opened', 'diagnostics:ping', 'x'],
  };
  const documented = [
    githubPush(),
    githubPullRequest('opened'),
    gitlabPush(),
    gitlabMergeRequest(),
    giteaPullRequest,
    bitbucketPush,
    bitbucketPullRequest,
    dataCenterPush,
    dataCenterPullRequest,
  ];
  /** A documented payload with a value somewhere replaced by anything. */
  const damaged = fc
    .tuple(fc.constantFrom(...documented), fc.array(fc.nat(20), { maxLength: 5 }), fc.jsonValue())
    .map(([payload, way, value]) => replacedAt(structuredClone(payload), way, value));

  it('are read, ignored, or refused by name: never anything else, and never with a ref that git could misread', () => {
    const payload = fc.oneof(fc.jsonValue(), damaged);
    fc.assert(
      fc.property(fc.constantFrom(...WEBHOOK_PROVIDERS), fc.nat(3), payload, (name, which, value) => {
        const event = EVENTS[name][which % EVENTS[name].length] ?? 'x';
        try {
          const reading = PROVIDERS[name].read(event, value);
          if (reading.kind !== 'changes') return;
          for (const { ref, commit } of reading.changes) {
            expect(ref).toMatch(/^refs\/[^\s~^:?*[\\]+$/);
            expect(ref).not.toContain('..');
            expect(commit).toMatch(/^[0-9a-f]{7,64}$/);
          }
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(KilnError);
          expect(thrown).toMatchObject({ code: 'input.invalid' });
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['refs/heads/--upload-pack=evil', true],
    ['refs/heads/a..b', false],
    ['refs/heads/a b', false],
    ['refs/heads/../config', false],
    ['--upload-pack=evil', false],
    ['refs/notes/x', false],
    ['refs/heads/x.lock', false],
  ])('%s as a ref: %s', (ref, isGood) => {
    // A ref is always given to git whole, so a name that begins with dashes behind refs/heads/ is no option.
    const read = () => github.read('push', githubPush({ ref }));
    if (isGood) expect(only(read()).ref).toBe(ref);
    else expect(read).toThrow(KilnError);
  });
});

function replacedAt(node: unknown, way: readonly number[], value: unknown): unknown {
  const [first, ...rest] = way;
  if (typeof node !== 'object' || node === null || first === undefined) return value;
  const keys = Object.keys(node);
  const key = keys[first % Math.max(keys.length, 1)];
  if (key === undefined) return value;
  Reflect.set(node, key, replacedAt(Reflect.get(node, key), rest, value));
  return node;
}
