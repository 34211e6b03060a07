import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ChannelPolicy, NO_DEMANDS } from './channel-demands.ts';
import { joinVerdicts, judgePromotion, longestHeldMs, type PromotionFacts } from './channel-policy.ts';
import { channelName, componentName, type ImageId } from './ids.ts';
import type { ChannelMove, CheckResult } from './image.ts';

const [image, other] = ['image-1', 'image-2'] as ImageId[] as [ImageId, ImageId];
const candidate = channelName('candidate');

function check(kind: string, passed: boolean): CheckResult {
  return {
    id: `${kind}-${passed}`,
    kind,
    where: 'bake',
    passed,
    passedCount: 1,
    failedCount: 0,
    failures: [],
    atMs: 1,
  };
}

function move(of: ImageId, atMs: number): ChannelMove {
  return { component: componentName('web'), channel: candidate, image: of, by: 'a', why: 'x', atMs };
}

const facts: PromotionFacts = {
  image,
  checks: [],
  approvals: [],
  earlier: [],
  promoter: 'ann',
  nowMs: 600_000,
};
const demanding: ChannelPolicy = {
  checks: ['smoke', 'scan'],
  approvals: 1,
  after: { channel: candidate, heldMs: 300_000 },
};

const policies = fc.record({
  checks: fc.subarray(['smoke', 'scan', 'in-image']),
  approvals: fc.nat({ max: 3 }),
});

test('of several policies, none takes back what another one demands', () => {
  fc.assert(
    fc.property(policies, policies, (one, two) => {
      const [alone, both] = [
        judgePromotion(one, facts),
        joinVerdicts([one, two].map((p) => judgePromotion(p, facts))),
      ];
      expect(both.unmet).toEqual(expect.arrayContaining([...alone.unmet]));
      const turned = joinVerdicts([two, one].map((policy) => judgePromotion(policy, facts)));
      expect(turned.unmet.toSorted()).toEqual(both.unmet.toSorted());
    }),
  );
  expect(joinVerdicts([]).unmet).toEqual([]);
});

test('every unmet demand is named, and what counted is the evidence', () => {
  expect(judgePromotion(demanding, facts).unmet).toEqual([
    'it has had no check of kind smoke',
    'it has had no check of kind scan',
    '0 of 1 approvals by others than ann are there',
    'the channel candidate never held it',
  ]);
  const met = judgePromotion(demanding, {
    ...facts,
    checks: [check('smoke', false), check('smoke', true), check('scan', true)],
    approvals: [
      { by: 'ann', why: 'mine', atMs: 1 },
      { by: 'bob', why: 'fine', atMs: 2 },
    ],
    earlier: [move(other, 400_000), move(image, 50_000)],
  });
  expect(met).toEqual({
    unmet: [],
    evidence: {
      checks: ['smoke-true', 'scan-true'],
      approvals: [{ by: 'bob', why: 'fine', atMs: 2 }],
      earlier: { channel: candidate, heldMs: 350_000 },
    },
  });
  const late = { ...facts, earlier: [move(image, 550_000), move(other, 300_000), move(image, 100_000)] };
  expect(
    judgePromotion({ ...NO_DEMANDS, after: { channel: candidate, heldMs: 300_000 } }, late).unmet,
  ).toEqual(['the channel candidate held it for 3 of 5 minutes']);
  expect(judgePromotion(NO_DEMANDS, facts).unmet).toEqual([]);
});

test('more demands never make fewer unmet, and approving oneself never helps', () => {
  const people = fc.array(
    fc.record({ by: fc.constantFrom('ann', 'bob', 'cy'), why: fc.constant('x'), atMs: fc.nat() }),
  );
  fc.assert(
    fc.property(policies, people, fc.array(fc.boolean(), { maxLength: 4 }), (policy, approvals, results) => {
      const given = { ...facts, approvals, checks: results.map((passed) => check('smoke', passed)) };
      const { unmet } = judgePromotion(policy, given);
      const stricter = { ...policy, checks: [...policy.checks, 'extra'], approvals: policy.approvals + 1 };
      expect(judgePromotion(stricter, given).unmet.length).toBeGreaterThan(unmet.length);
      const own = [
        ...approvals,
        { by: 'ann', why: 'me', atMs: 1 },
        { by: 'page of ann', why: 'me', atMs: 1 },
      ];
      expect(judgePromotion(policy, { ...given, approvals: own }).unmet).toEqual(unmet);
    }),
  );
  expect(longestHeldMs([], image, 5)).toBeUndefined();
});
