/** Random state machines that are valid: every type of state, retries, catches, loops, branches and items. */
import fc from 'fast-check';
import type { Json } from '../../src/pipeline/asl/json.ts';

type Definition = Readonly<Record<string, Json>>;

const ERRORS = ['Boom', 'Other', 'States.Timeout'] as const;

const retrier = fc.record({
  ErrorEquals: fc.constantFrom(['Boom'], ['Boom', 'Other'], ['States.TaskFailed']),
  IntervalSeconds: fc.integer({ min: 1, max: 5 }),
  MaxAttempts: fc.integer({ min: 0, max: 2 }),
  BackoffRate: fc.constantFrom(1, 1.5, 2),
  JitterStrategy: fc.constantFrom('FULL', 'NONE'),
});

interface Shape {
  readonly type: 'Pass' | 'Task' | 'Wait' | 'Choice' | 'Parallel' | 'Map' | 'Fail';
  readonly pick: number;
  readonly retries: readonly Definition[];
  readonly caught: boolean;
  readonly seconds: number;
  readonly inner: readonly Definition[];
  readonly distributed: boolean;
}

/** `depth` more levels of branches and items may follow. */
export function machines(depth = 2): fc.Arbitrary<Definition> {
  const inner = depth > 0 ? fc.array(machines(depth - 1), { minLength: 1, maxLength: 3 }) : fc.constant([]);
  const simple = ['Pass', 'Task', 'Task', 'Wait', 'Choice', 'Fail'] as const;
  const shape: fc.Arbitrary<Shape> = fc.record({
    type: depth > 0 ? fc.constantFrom(...simple, 'Parallel', 'Map') : fc.constantFrom(...simple),
    pick: fc.nat(1_000),
    retries: fc.array(retrier, { maxLength: 2 }),
    caught: fc.boolean(),
    seconds: fc.integer({ min: 0, max: 30 }),
    inner,
    distributed: fc.boolean(),
  });
  return fc.array(shape, { minLength: 1, maxLength: 5 }).map(definitionOf);
}

/** Each state leads to the next, so that all are reached; the last ends. Choices may also lead back. */
function definitionOf(shapes: readonly Shape[]): Definition {
  const names = shapes.map((_, at) => `S${at}`);
  const states = shapes.map((shape, at) => [names[at] ?? '', stateOf(shape, names, at)] as const);
  return { StartAt: names[0] ?? 'S0', States: Object.fromEntries([...states, ['End', { Type: 'Succeed' }]]) };
}

function stateOf(shape: Shape, names: readonly string[], at: number): Definition {
  const Next = names[at + 1] ?? 'End';
  const handled = {
    Retry: shape.retries,
    Catch: shape.caught ? [{ ErrorEquals: ['States.ALL'], Next, ResultPath: '$.caught' }] : [],
  };
  switch (shape.type) {
    case 'Pass':
      return {
        Type: 'Pass',
        Result: shape.pick,
        ResultPath: '$.passed',
        Assign: { [`v${at}`]: shape.pick },
        Next,
      };
    case 'Wait':
      return { Type: 'Wait', Seconds: shape.seconds, Next };
    // One choice in three leads back, once: the rule remembers it in a variable.
    case 'Choice':
      return {
        Type: 'Choice',
        Choices: [
          {
            Variable: `$looped${at}`,
            IsPresent: false,
            Assign: { [`looped${at}`]: true },
            Next: names[Math.max(at - 1, 0)] ?? 'End',
          },
          { Variable: '$.passed', NumericLessThan: shape.pick, Next: 'End' },
        ].slice(shape.pick % 3 === 0 ? 0 : 1),
        Default: Next,
      };
    case 'Fail':
      return shape.caught
        ? { Type: 'Pass', ResultPath: null, Next }
        : { Type: 'Choice', Choices: [{ Variable: '$.passed', IsPresent: true, Next }], Default: 'End' };
    case 'Task':
      return {
        Type: 'Task',
        Resource: shape.pick % 4 === 0 ? 'job.waitForTaskToken' : 'job',
        Parameters: { 'passed.$': '$.passed', pick: shape.pick },
        TimeoutSeconds: 20,
        ...(shape.pick % 5 === 0 && { HeartbeatSeconds: 5 }),
        ResultPath: '$.passed',
        ...handled,
        Next,
      };
    case 'Parallel':
      return { Type: 'Parallel', Branches: shape.inner, ResultPath: '$.branches', ...handled, Next };
    case 'Map':
      return {
        Type: 'Map',
        ItemsPath: '$.items',
        ItemSelector: { 'passed.$': '$$.Map.Item.Index', 'items.$': '$.items' },
        ItemProcessor: {
          ...shape.inner[0],
          ProcessorConfig: { Mode: shape.distributed ? 'DISTRIBUTED' : 'INLINE' },
        },
        MaxConcurrency: shape.pick % 3,
        ResultPath: '$.mapped',
        ...handled,
        Next,
      };
  }
}

/** What a task of this name comes to: the same whenever it is asked. */
export function outcomeOf(task: string, seed: number): 'succeeds' | 'fails' | 'never' {
  const hash = [...task].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) >>> 0, seed);
  return hash % 10 < 6 ? 'succeeds' : hash % 10 < 9 ? 'fails' : 'never';
}

export function errorOf(task: string): string {
  return ERRORS[task.length % ERRORS.length] ?? 'Boom';
}
