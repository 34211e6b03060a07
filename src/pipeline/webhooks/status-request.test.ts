import { describe, expect, it } from 'vitest';
import { WEBHOOK_PROVIDERS } from '../../domain/webhook.ts';
import { statusApiOf, statusRequest, wasTaken } from './status-request.ts';

const WISH = {
  repository: 'git@example.com:group/sub/shop.git',
  commit: 'abc1234',
  state: 'failure',
  context: 'kiln/shop',
  description: 'x'.repeat(200),
  targetUrl: 'https://kiln.example.com/executions/exec-1',
} as const;

describe('a status', () => {
  it('is asked for as each API documents it', () => {
    const asked = WEBHOOK_PROVIDERS.map((provider) => {
      const api = statusApiOf(provider, WISH.repository) ?? '';
      const { url, headers, body } = statusRequest({ ...WISH, provider, api }, 'tok');
      return [url, headers.authorization ?? headers['private-token'], body.state, body.context ?? body.name];
    });
    expect(asked).toEqual([
      [
        'https://example.com/api/v3/repos/group/sub/shop/statuses/abc1234',
        'Bearer tok',
        'failure',
        'kiln/shop',
      ],
      [
        'https://example.com/api/v4/projects/group%2Fsub%2Fshop/statuses/abc1234',
        'tok',
        'failed',
        'kiln/shop',
      ],
      [
        'https://example.com/api/v1/repos/group/sub/shop/statuses/abc1234',
        'token tok',
        'failure',
        'kiln/shop',
      ],
      [
        'https://api.bitbucket.org/2.0/repositories/group/sub/shop/commit/abc1234/statuses/build',
        'Bearer tok',
        'FAILED',
        'kiln/shop',
      ],
      ['https://example.com/rest/build-status/1.0/commits/abc1234', 'Bearer tok', 'FAILED', 'kiln/shop'],
    ]);
    const { body } = statusRequest({ ...WISH, provider: 'github', api: 'https://api.github.com' }, 'tok');
    expect(body.description).toHaveLength(140);
    expect(statusApiOf('github', 'https://github.com/octocat/x')).toBe('https://api.github.com');
    expect(statusApiOf('bitbucket-server', 'ssh://git@git.example.com:7999/proj/x.git')).toBe(
      'https://git.example.com/rest',
    );
    expect(statusApiOf('github', '/srv/git/octocat/x.git')).toBeUndefined();
  });

  it('is taken once it is created, or, at GitLab, when the commit has it already', () => {
    expect(wasTaken('github', 201, '')).toBe(true);
    expect(wasTaken('bitbucket-server', 204, '')).toBe(true);
    expect(wasTaken('gitlab', 400, '{"message":"Cannot transition status via :enqueue from :pending"}')).toBe(
      true,
    );
    expect(wasTaken('gitlab', 400, '{"error":"state is missing"}')).toBe(false);
    expect(wasTaken('github', 422, '')).toBe(false);
  });
});
