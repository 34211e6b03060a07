import { describe, expect, it } from 'vitest';
import { sha256 } from './blobs.ts';
import { factsOf, withoutCredentials } from './git-facts.ts';
import { distinguished, wantedVersion } from './versions.ts';

describe('git facts', () => {
  it('are read from what git prints', () => {
    const sha = 'a'.repeat(40);
    expect(factsOf(`# branch.oid ${sha}\n# branch.head main\n`, 'v1\n', undefined)).toEqual({
      sha,
      dirty: false,
      describe: 'v1',
    });
    expect(factsOf(`# branch.oid ${sha}\n? new.js\n`, 'v1\n', 'git@h:o/r.git\n')).toEqual({
      sha,
      dirty: true,
      describe: 'v1-dirty',
      repository: 'git@h:o/r.git',
    });
    expect(factsOf('# branch.oid (initial)\n? a\n', undefined, undefined)).toEqual({ dirty: true });
  });

  it.each([
    ['https://user:token@host/x.git', 'https://host/x.git'],
    ['https://token@host/x.git', 'https://host/x.git'],
    ['https://u:p@ss@host/x.git', 'https://host/x.git'],
    ['ssh://git@host/x.git', 'ssh://host/x.git'],
    ['git@host:x.git', 'git@host:x.git'],
    ['https://host/a@b', 'https://host/a@b'],
  ])('drop credentials: %s', (remote, expected) => expect(withoutCredentials(remote)).toBe(expected));
});

describe('versions', () => {
  it('come from who asks, the file, git, or nothing, in this order', () => {
    expect(wantedVersion('1', '2', '3')).toEqual({ text: '1', source: 'asked' });
    expect(wantedVersion(undefined, '2', '3')).toEqual({ text: '2', source: 'file' });
    expect(wantedVersion(undefined, undefined, 'release/3')).toEqual({
      text: 'release-3',
      source: 'derived',
    });
    expect(wantedVersion(undefined, undefined, undefined)).toEqual({ text: '0.0.0', source: 'derived' });
    expect(() => wantedVersion('../x', undefined, undefined)).toThrow(/cannot be a version/);
  });

  it('are told apart by their inputs', () => {
    expect(distinguished('1-dirty', sha256('x'))).toMatch(/^1-dirty\+[0-9a-f]{8}$/);
  });
});
