import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareVersions } from './version-order.ts';

test('orders as Semantic Versioning 2.0.0 does, and looser versions by what people mean', () => {
  const inOrder = [
    'nightly',
    '0.9',
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
    'v1.0.0-3-gab12cd3',
    '1.0.0-12-gab12cd3',
    '1.0.0.1',
    '1.0.1',
    '1.4rc1',
    '1.4',
    '1.10.0',
    '1.10.0-1-gffff',
    '2026.11.21',
    '20261121093000.1',
  ];
  expect(inOrder.toSorted(compareVersions)).toEqual(inOrder);
  expect(inOrder.toReversed().toSorted(compareVersions)).toEqual(inOrder);
  for (const [a, b] of [
    ['1.4', '1.4.0'],
    ['v2', '2.0.0'],
    ['1.0.0+build.5', '1.0.0'],
    ['01.2', '1.2'],
  ] as const)
    expect(compareVersions(a, b), `${a} ${b}`).toBe(0);
});

/** Item 11 of semver.org, written out: what the keys must agree with. */
function semverCompare(a: Semver, b: Semver): number {
  for (let n = 0; n < 3; n += 1) {
    const difference = (a.core[n] ?? 0) - (b.core[n] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  if (a.pre.length === 0 || b.pre.length === 0) return Math.sign(b.pre.length - a.pre.length);
  for (let n = 0; n < Math.min(a.pre.length, b.pre.length); n += 1) {
    const [left, right] = [a.pre[n] ?? 0, b.pre[n] ?? 0];
    if (left === right) continue;
    if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return Math.sign(a.pre.length - b.pre.length);
}

interface Semver {
  readonly core: readonly number[];
  readonly pre: readonly (number | string)[];
}

const identifier = fc.oneof(fc.nat({ max: 2000 }), fc.stringMatching(/^[a-zA-Z][0-9a-zA-Z]{0,4}$/));
const semver: fc.Arbitrary<Semver> = fc.record({
  core: fc.array(fc.nat({ max: 120 }), { minLength: 3, maxLength: 3 }),
  pre: fc.array(identifier, { maxLength: 3 }),
});
const text = ({ core, pre }: Semver): string =>
  core.join('.') + (pre.length === 0 ? '' : `-${pre.join('.')}`);

test('any two semantic versions compare as the specification says', () => {
  fc.assert(
    fc.property(semver, semver, (a, b) => {
      expect(compareVersions(text(a), text(b)), `${text(a)} ${text(b)}`).toBe(semverCompare(a, b));
    }),
    { numRuns: 3000 },
  );
});
