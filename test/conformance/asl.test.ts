/** The interpreter against executions recorded on AWS: status, output, error, cause, order of states, history. */
import { describe, expect, it } from 'vitest';
import { type RunResult, run } from '../../src/pipeline/asl/run.ts';
import {
  type Comparison,
  type ConformanceCase,
  comparison,
  conformanceFolder,
  readCases,
  runOptions,
} from './asl-case.ts';
import { EXCEPTIONS } from './asl-exceptions.ts';

const folder = conformanceFolder();

describe.skipIf(folder === undefined && process.env.CI !== 'true')(
  'Amazon States Language as AWS runs it',
  () => {
    if (folder === undefined) {
      it('finds the recorded cases', () => {
        expect.fail('The conformance folder is absent: set KILN_CONFORMANCE, or put it beside the project.');
      });
      return;
    }
    const cases = readCases(folder);

    it('has at most five exceptions, none of the core, each a case that exists', () => {
      const excepted = Object.keys(EXCEPTIONS);
      expect(excepted.length).toBeLessThanOrEqual(5);
      expect(cases.get('01_core.json')?.filter(({ id }) => excepted.includes(id))).toEqual([]);
      const ids = new Set([...cases.values()].flat().map(({ id }) => id));
      expect(excepted.filter((id) => !ids.has(id))).toEqual([]);
    });

    for (const [file, recorded] of cases) {
      it(`runs all ${recorded.length} cases of ${file}`, async () => {
        const compared = await comparison(folder);
        const wrong: string[] = [];
        for (const one of recorded) {
          const differences = await differencesOf(one, compared, file);
          wrong.push(...differences.map((difference) => `${one.id}: ${difference}`));
        }
        expect(wrong).toEqual([]);
        expect(recorded.length).toBeGreaterThan(0);
      });
    }
  },
);

async function differencesOf(
  recorded: ConformanceCase,
  compared: Comparison,
  file: string,
): Promise<readonly string[]> {
  const result = await run(recorded.definition, recorded.input, runOptions(recorded));
  const { output: _, ...withoutOutput } = recorded.expect;
  const leftOut = EXCEPTIONS[recorded.id]?.leaveOut === 'output';
  const comparable = leftOut ? { ...recorded, expect: withoutOutput } : recorded;
  return [
    ...compared.check(comparable, result),
    ...historyDifferences(recorded, result, file),
    ...(leftOut ? [] : outputDifferences(recorded, result, compared)),
  ];
}

/** Types of events, where the recording has them whole; activities cannot be told from tasks by their placeholder. */
function historyDifferences({ expect: wanted }: ConformanceCase, result: RunResult, file: string): string[] {
  const { eventTypes, eventTypesUnordered = false, sequenceOrdered = false } = wanted;
  if (eventTypes === undefined || eventTypesUnordered || file.startsWith('06')) return [];
  const found = result.history.map(({ type }) => type);
  const [left, right] = sequenceOrdered ? [eventTypes, found] : [eventTypes.toSorted(), found.toSorted()];
  return left.join() === right.join() ? [] : [`history ${right.join()} != ${left.join()}`];
}

/** What each state gave and assigned, every time it was left. */
function outputDifferences(recorded: ConformanceCase, result: RunResult, compared: Comparison): string[] {
  const { stateOutputs = {} } = recorded.expect;
  const exited = result.history.filter(({ type }) => type.endsWith('StateExited'));
  return Object.entries(stateOutputs).flatMap(([state, wanted]) => {
    const found = exited
      .filter((record) => record.state === state)
      .map(({ output, assigned }) => ({
        output,
        ...(assigned !== undefined &&
          Object.keys(assigned).length > 0 && { assignedVariables: written(assigned) }),
      }));
    const same = compared.match(compared.norm(wanted), compared.norm(found), recorded.wildcards ?? []);
    return same ? [] : [`outputs of ${state}: ${JSON.stringify(found)} != ${JSON.stringify(wanted)}`];
  });
}

/** AWS shows each variable as JSON text. */
function written(assigned: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(assigned).map(([name, value]) => [name, JSON.stringify(value)]));
}
