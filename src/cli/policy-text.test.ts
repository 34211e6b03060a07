import { expect, test } from 'vitest';
import { readPolicy } from './policy-text.ts';

test('a policy is read from words, and each that is none is refused', () => {
  expect(readPolicy('checks=smoke,scan approvals=2 after=proven:24h')).toEqual({
    checks: ['smoke', 'scan'],
    approvals: 2,
    after: { channel: 'proven', heldMs: 24 * 3_600_000 },
  });
  expect(readPolicy('after=candidate')).toEqual({
    checks: [],
    approvals: 0,
    after: { channel: 'candidate', heldMs: 0 },
  });
  for (const wrong of ['approvals=many', 'after=proven:1w', 'check=smoke', 'checks=', 'golden'])
    expect(() => readPolicy(wrong), wrong).toThrow(/no part of a policy/);
});
