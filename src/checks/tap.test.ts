import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTap } from './tap.ts';

describe('TAP', () => {
  it('is read as bats writes it', () => {
    const report = parseTap([
      '1..4',
      'ok 1 it runs',
      'not ok 2 it serves - at once',
      '# (in test file a.bats, line 4)',
      "#   `false' failed",
      'ok 3 later # skip no network',
      'not ok 4 some day # TODO',
    ]);
    expect(report).toEqual({
      planned: 4,
      tests: [
        { number: 1, passed: true, description: 'it runs', diagnostics: [] },
        {
          number: 2,
          passed: false,
          description: 'it serves - at once',
          diagnostics: ['(in test file a.bats, line 4)', "  `false' failed"],
        },
        { number: 3, passed: true, description: 'later', diagnostics: [] },
        { number: 4, passed: true, description: 'some day', diagnostics: [] },
      ],
    });
  });

  it('knows plans at the end, missing numbers and a bail-out', () => {
    expect(parseTap(['ok - a', 'not ok b', '1..2', 'Bail out! no disk', 'noise: ok'])).toMatchObject({
      planned: 2,
      bailOut: 'no disk',
      tests: [
        { number: 1, description: 'a' },
        { number: 2, passed: false, description: 'b' },
      ],
    });
  });

  it('survives whatever a test prints', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom('ok', 'not ok 1', '1..9', '# x'))),
        (lines) => {
          expect(parseTap(lines).tests.length).toBeLessThanOrEqual(lines.length);
        },
      ),
    );
  });
});
