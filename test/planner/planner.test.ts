import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plan } from '../../src/deploy/planner/plan.ts';
import { preview } from '../../src/deploy/planner/preview.ts';
import { beginningArbitrary, scriptArbitrary, shapeArbitrary } from './arbitraries.ts';
import { travel } from './journey.ts';
import { beginning } from './worlds.ts';

const plain = {
  strategy: 'blue-green' as const,
  size: 3,
  min: 2,
  batch: 1,
  worker: true,
  exclusive: false,
  migrate: true,
  checks: true,
  keepWarm: true,
};
const calm = {
  nature: {
    tempers: new Map(),
    migrationFails: false,
    verifyFails: false,
    checksFail: false,
    alwaysBusy: false,
  },
  mishaps: [],
};

describe('the planner', () => {
  it('keeps its invariants and comes to an end in any world', () => {
    fc.assert(
      fc.property(shapeArbitrary, beginningArbitrary, scriptArbitrary, (shape, kind, script) => {
        expect(travel(plan, beginning(shape, kind), script).violations).toEqual([]);
      }),
      { numRuns: 5_000 },
    );
  });

  it('deploys whenever the world is calm', () => {
    fc.assert(
      fc.property(shapeArbitrary, beginningArbitrary, (shape, kind) => {
        const journey = travel(plan, beginning(shape, kind), calm);
        expect(journey.violations).toEqual([]);
        expect(journey.outcome).toBe('deployed');
      }),
      { numRuns: 500 },
    );
  });

  it('previews exactly the steps that a calm deployment takes', () => {
    for (const strategy of ['blue-green', 'rolling'] as const) {
      const start = beginning({ ...plain, strategy }, 'replace');
      const shown = preview(start)
        .steps.filter((step) => step.kind !== 'wait')
        .map((step) => step.kind);
      const journey = travel(plan, start, calm);
      const acts = journey.steps.filter(
        (step) => !step.startsWith('wait') && !['publish', 'decide'].includes(step),
      );
      const until = acts.indexOf('finish') + 1;
      expect(shown).toEqual(acts.slice(0, until));
    }
  });

  it('needs few acts to go back to a warm release', () => {
    const journey = travel(plan, beginning(plain, 'rollback-warm'), calm);
    const until = journey.steps.indexOf('finish');
    expect(journey.steps.slice(0, until).filter((step) => !step.startsWith('wait'))).toEqual([
      'decide',
      'prepare',
      'scale',
      'scale',
      'shift',
      'verify',
    ]);
  });

  it('says in the preview that a volume held by one makes the old stop first', () => {
    const shown = preview(beginning({ ...plain, exclusive: true }, 'replace'));
    expect(shown.warnings.join()).toContain('stops before its successor starts');
    const kinds = shown.steps.map((step) => step.kind);
    expect(kinds.indexOf('remove-group')).toBeLessThan(kinds.indexOf('scale'));
  });
});
