import { expect, test } from 'vitest';
import { demandsText, loosened, readPolicy } from './policy-text.ts';

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

test('what is demanded is said as it is written, and what would be loosened is named', () => {
  for (const text of [
    'checks=smoke,scan approvals=1 after=proven:24h',
    'approvals=2',
    'after=proven',
    'after=proven:90m',
    '',
  ]) {
    const policy = readPolicy(text);
    expect(readPolicy(demandsText(policy).replace(/^-$/, ''))).toEqual(policy);
    expect(loosened(policy, policy)).toEqual([]);
  }
  expect(demandsText(readPolicy('after=proven:48h'))).toBe('after=proven:2d');
  expect(demandsText(undefined)).toBe('-');
  const strict = readPolicy('checks=smoke,scan approvals=2 after=proven:24h');
  expect(loosened(readPolicy(''), strict)).toEqual([]);
  expect(loosened(strict, readPolicy('checks=scan approvals=1 after=proven:1h'))).toEqual([
    'check smoke',
    '2 approvals',
    'time in proven',
  ]);
});
