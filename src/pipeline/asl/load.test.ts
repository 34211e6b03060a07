/** Whatever is given as a definition is either a machine or a list of faults, never a crash. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IntrinsicSyntaxError, parseIntrinsic } from './intrinsic-parse.ts';
import { PathSyntaxError, parsePath } from './jsonpath-parse.ts';
import { checkStateMachine } from './load.ts';

const VALID = {
  StartAt: 'A',
  States: {
    A: { Type: 'Choice', Choices: [{ Variable: '$.x', IsPresent: true, Next: 'B' }], Default: 'C' },
    B: {
      Type: 'Parallel',
      Branches: [{ StartAt: 'X', States: { X: { Type: 'Task', Resource: 'r', End: true } } }],
      Catch: [{ ErrorEquals: ['States.ALL'], Next: 'C' }],
      Next: 'C',
    },
    C: {
      Type: 'Map',
      ItemsPath: '$.l',
      ItemProcessor: { StartAt: 'Y', States: { Y: { Type: 'Succeed' } } },
      End: true,
    },
  },
};

/** Every path to a value in the definition. */
function places(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))];
}

function changed(path: readonly string[], to: unknown): unknown {
  const copy = structuredClone(VALID);
  const parent = path.slice(0, -1).reduce<unknown>((value, key) => Reflect.get(Object(value), key), copy);
  const key = path.at(-1);
  if (key === undefined) return to;
  if (to === undefined) Reflect.deleteProperty(Object(parent), key);
  else Reflect.set(Object(parent), key, to);
  return copy;
}

describe('checkStateMachine', () => {
  it('takes the definition that the others are made of', async () => {
    expect((await checkStateMachine(VALID)).faults).toEqual([]);
  });

  it('refuses what AWS refuses of tasks and distributed Maps', async () => {
    const machine = {
      StartAt: 'T',
      States: {
        T: { Type: 'Task', Resource: 'r', TimeoutSeconds: 9, TimeoutSecondsPath: '$.t', Next: 'M' },
        M: {
          Type: 'Map',
          Label: 'with blanks',
          MaxConcurrency: 2,
          MaxConcurrencyPath: '$.m',
          ItemBatcher: { BatchInput: 1 },
          ItemReader: { Resource: 'r', ReaderConfig: { InputType: 'CSV', MaxItems: 1, MaxItemsPath: '$.n' } },
          ItemProcessor: {
            ProcessorConfig: { Mode: 'DISTRIBUTED' },
            StartAt: 'Y',
            States: { Y: { Type: 'Succeed' } },
          },
          End: true,
        },
      },
    };
    const { faults } = await checkStateMachine(machine);
    expect(faults.map(({ path }) => path.slice(1).join('.')).toSorted()).toEqual([
      'M.ItemBatcher',
      'M.ItemReader.ReaderConfig.MaxItemsPath',
      'M.Label',
      'M.MaxConcurrencyPath',
      'T.TimeoutSecondsPath',
    ]);
  });

  it('answers anything at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        expect((await checkStateMachine(value)).faults.length).toBeGreaterThan(0);
      }),
      { numRuns: 200 },
    );
  });

  it('says something of every place that is wrong, and points into the definition', async () => {
    const wrong = fc.constantFrom<unknown>(undefined, null, 7, 'text', [], {}, ['a'], { Type: 'Pass' });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...places(VALID)), wrong, async (path, to) => {
        const { machine, faults } = await checkStateMachine(changed(path, to));
        expect(machine === undefined).toBe(faults.length > 0);
        for (const fault of faults) expect(fault.message).not.toBe('');
      }),
      { numRuns: 500 },
    );
  });
});

describe('texts', () => {
  const texts = fc.oneof(
    fc.string(),
    fc
      .array(
        fc.constantFrom(
          '$',
          '.',
          '[',
          ']',
          "'",
          'a',
          '*',
          '?',
          '(',
          ')',
          '@',
          '0',
          ',',
          ':',
          'States.',
          'Format',
        ),
      )
      .map((parts) => parts.join('')),
  );

  it('are paths and calls, or are refused in words', () => {
    fc.assert(
      fc.property(texts, (text) => {
        for (const [parse, refusal] of [
          [parsePath, PathSyntaxError],
          [parseIntrinsic, IntrinsicSyntaxError],
        ] as const) {
          try {
            parse(text);
          } catch (error) {
            expect(error).toBeInstanceOf(refusal);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
