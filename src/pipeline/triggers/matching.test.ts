import { describe, expect, it } from 'vitest';
import type { PipelineSource, PullRequestEvent, PushEvent, Triggers } from '../../domain/trigger.ts';
import { matching, passedOver } from './matching.ts';
import { fits, PATTERN } from './patterns.ts';
import { repositoryName } from './repository-name.ts';

const NONE: Triggers = { schedule: [], channel: [], base: false, pipeline: [], onOpen: 'queue' };

function source(triggers: Partial<Triggers>, more: Partial<PipelineSource> = {}): PipelineSource {
  return {
    id: 'src-1',
    component: 'shop',
    location: { kind: 'repository', url: 'git@Example.com:team/shop.git' },
    directory: '',
    branch: 'main',
    triggers: { ...NONE, ...triggers },
    checkout: { submodules: true, lfs: true },
    parameters: {},
    owner: { actor: 'alice', role: 'admin', environments: [] },
    createdAtMs: 0,
    ...more,
  };
}

function push(ref: string, paths?: readonly string[]): PushEvent {
  const repository = { urls: ['https://example.com/team/shop', 'ssh://git@example.com/team/shop'] };
  return { kind: 'push', repository, ref, commit: 'c', ...(paths && { paths }) };
}

describe('patterns', () => {
  it.each([
    [['main'], 'main', true],
    [['main'], 'maintenance', false],
    [['release/*'], 'release/1', true],
    [['release/*'], 'release/1/2', false],
    [['release/**'], 'release/1/2', true],
    [['**/*.md'], 'README.md', true],
    [['**/*.md'], 'docs/a/b.md', true],
    [['docs/**', '!docs/**/*.md'], 'docs/a.md', false],
    [['!main', '**'], 'main', true],
    [['v?.*'], 'v1.20', true],
    [['a+(b)'], 'a+(b)', true],
    [[], 'main', false],
  ])('%j on %s: %s', (patterns, name, expected) => {
    expect(fits(patterns, name)).toBe(expected);
  });

  it('takes no pattern that would take for ever', () => {
    expect(PATTERN.test('**a**a**a**a')).toBe(false);
    expect(PATTERN.test('!**/*.md')).toBe(true);
  });
});

describe('matching', () => {
  it('knows a repository by any of its addresses', () => {
    const addresses = ['https://user@Host.org/A/b.git', 'ssh://git@host.org/a/b/', 'git@host.org:a/b.git'];
    expect(new Set(addresses.map(repositoryName))).toEqual(new Set(['host.org/a/b']));
    expect(repositoryName('file:///srv/Shop.git')).toBe('/srv/Shop');
    const watched = source({ push: { branches: ['**'], tags: [] } });
    expect(matching([watched], push('refs/heads/x'))).toEqual([watched]);
    const other = { ...push('refs/heads/x'), repository: { urls: ['https://example.com/team/shop2'] } };
    expect(matching([watched], other)).toEqual([]);
  });

  it('lets in the branches, tags and paths that it is told', () => {
    const watched = source({ push: { branches: ['main'], tags: ['v*'], paths: ['app/**', '!**/*.md'] } });
    const isIn = (event: PushEvent) => passedOver(watched, event) === undefined;
    expect(isIn(push('refs/heads/main', ['app/a.js', 'README.md']))).toBe(true);
    expect(isIn(push('refs/heads/main', ['app/a.md', 'lib/a.js']))).toBe(false);
    expect(isIn(push('refs/heads/main'))).toBe(true);
    expect(isIn(push('refs/heads/other', ['app/a.js']))).toBe(false);
    expect(isIn(push('refs/tags/v1', []))).toBe(true);
    expect(isIn(push('refs/tags/x', ['app/a.js']))).toBe(false);
    expect(isIn(push('refs/notes/x', ['app/a.js']))).toBe(false);
    expect(passedOver(source({}), push('refs/heads/main'))).toMatch('pushes start nothing');
  });

  it('lets in forks only where the file says so, and they cannot be trusted', () => {
    const told = { kind: 'pull-request', repository: { source: 'src-1' }, number: 1, commit: 'c' } as const;
    const fork: PullRequestEvent = {
      ...told,
      base: 'main',
      ref: 'refs/pull/1/head',
      fromFork: true,
      trusted: false,
    };
    const own: PullRequestEvent = { ...fork, fromFork: false, trusted: true };
    // @ts-expect-error a fork that is trusted
    const wrong: PullRequestEvent = { ...fork, trusted: true };
    expect(wrong.fromFork).toBe(true);
    const [closed, open] = [false, true].map((forks) =>
      source({ pullRequest: { branches: ['main'], forks } }),
    );
    if (closed === undefined || open === undefined) throw new Error('two sources');
    expect([closed, open].map((one) => passedOver(one, fork) === undefined)).toEqual([false, true]);
    expect([closed, open].map((one) => passedOver(one, own) === undefined)).toEqual([true, true]);
    expect(passedOver(open, { ...own, base: 'release' })).toMatch('release');
  });

  it('finds those that wait for a channel, their base, a pipeline, or were asked for', () => {
    const golden = { component: 'node-runtime', channel: 'golden' };
    const byChannel = source({ channel: [golden] }, { id: 'a' });
    const byBase = source({ base: true }, { id: 'b', base: golden });
    const noBase = source({ base: false }, { id: 'c', base: golden });
    const byPipeline = source({ pipeline: [{ pipeline: 'lib', status: ['SUCCEEDED'] }] }, { id: 'd' });
    const all = [byChannel, byBase, noBase, byPipeline];
    const ids = (event: Parameters<typeof matching>[1]) => matching(all, event).map(({ id }) => id);
    const moved = { ...golden, image: 'i', revision: 3 };
    expect(ids({ kind: 'channel-moved', ...moved })).toEqual(['a']);
    expect(ids({ kind: 'base-moved', ...moved })).toEqual(['b']);
    expect(ids({ kind: 'base-moved', ...moved, channel: 'proven' })).toEqual([]);
    const ended = { kind: 'pipeline-ended', pipeline: 'lib', execution: 'e' } as const;
    expect(ids({ ...ended, status: 'SUCCEEDED' })).toEqual(['d']);
    expect(ids({ ...ended, status: 'FAILED' })).toEqual([]);
    expect(ids({ kind: 'api', source: 'c', delivery: '1', sender: 'bob' })).toEqual(['c']);
  });
});
