import fc from 'fast-check';
import type { Script } from './journey.ts';
import type { Mishap, Temper } from './nature.ts';
import type { Beginning, Shape } from './worlds.ts';

export const shapeArbitrary: fc.Arbitrary<Shape> = fc.record({
  strategy: fc.constantFrom('blue-green', 'rolling'),
  size: fc.integer({ min: 1, max: 4 }),
  min: fc.integer({ min: 1, max: 3 }),
  batch: fc.integer({ min: 1, max: 3 }),
  worker: fc.boolean(),
  exclusive: fc.boolean(),
  migrate: fc.boolean(),
  checks: fc.boolean(),
  keepWarm: fc.boolean(),
});

export const beginningArbitrary: fc.Arbitrary<Beginning> = fc.constantFrom(
  'first',
  'replace',
  'rollback-warm',
  'rollback-cold',
);

const temper: fc.Arbitrary<Temper> = fc.constantFrom(
  'good',
  'good',
  'good',
  'late',
  'never-healthy',
  'one-sick',
  'port-stolen',
  'crashing',
);
const mishap: fc.Arbitrary<Mishap> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Mishap>('none') },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Mishap>('kill-one', 'lose-memory', 'busy', 'router-blinks', 'time-jumps'),
  },
  { weight: 1, arbitrary: fc.constantFrom<Mishap>('cancel', 'none', 'none', 'none') },
);

export const scriptArbitrary: fc.Arbitrary<Script> = fc
  .record({
    one: temper,
    two: temper,
    migrationFails: fc.integer({ min: 0, max: 9 }).map((draw) => draw === 0),
    verifyFails: fc.integer({ min: 0, max: 9 }).map((draw) => draw === 0),
    checksFail: fc.integer({ min: 0, max: 9 }).map((draw) => draw === 0),
    alwaysBusy: fc.boolean(),
    mishaps: fc.array(fc.record({ mishap, pick: fc.nat(5_000) }), { maxLength: 60 }),
  })
  .map(({ one, two, mishaps, ...fails }) => ({
    nature: {
      tempers: new Map([
        [1, one],
        [2, two],
      ]),
      ...fails,
    },
    mishaps,
  }));
