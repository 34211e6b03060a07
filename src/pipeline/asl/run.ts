/** Runs a definition to its end at once, in virtual time, with given task results: for tests and dry runs. */
import { type Advanced, advance, pendingExecution } from './advance.ts';
import type { StateMachine } from './definition.ts';
import type { Effect, Execution, ExecutionEvent, ExecutionStatus, HistoryRecord } from './execution.ts';
import { StateFailure } from './failure.ts';
import { itemsOf, type ReadableObject } from './given-objects.ts';
import { parseItems, readerFailure } from './item-reader.ts';
import { isArray, isObject, type Json, type JsonObject } from './json.ts';
import { loadStateMachine } from './load.ts';
import { type AnswerTask, answerFrom, type Mocks, type TaskOutcome } from './mocks.ts';

export interface RunOptions {
  /** Task results, by resource or state; or a function that answers each task. */
  readonly mocks?: Mocks | AnswerTask;
  /** What `$$` holds beside what the interpreter fills in: `Execution` (Id, Name, RoleArn…), `StateMachine`… */
  readonly context?: JsonObject;
  /** What ItemReaders find: `Bucket` and `Key` (or `Path`), and the text. */
  readonly objects?: readonly ReadableObject[];
  /** The virtual time at which it begins; 1970 unless given. */
  readonly startAtMs?: number;
  /** Other random numbers and ids for another seed. */
  readonly seed?: string;
  /** Stops the execution after so much virtual time. */
  readonly abortAfterMs?: number;
}

export interface RunResult {
  readonly status: Exclude<ExecutionStatus, 'PENDING' | 'RUNNING'>;
  readonly output?: Json;
  readonly error?: string;
  readonly cause?: string;
  /** Names of the states as they were entered, without those inside children of a distributed Map. */
  readonly stateSequence: readonly string[];
  /** Of the execution itself, as AWS counts it. */
  readonly history: readonly HistoryRecord[];
}

/**
 * The one call of `kiln/asl`: runs a definition (JSON, as an object) with an input. Waits and back-offs take no
 * real time. Throws KilnError with `pipeline.invalid` and all faults when the definition is not valid, and with
 * `input.invalid` when a task comes for which there is no result.
 */
export async function run(definition: unknown, input: Json, options: RunOptions = {}): Promise<RunResult> {
  return runMachine(await loadStateMachine(definition), input, options);
}

export async function runMachine(
  machine: StateMachine,
  input: Json,
  options: RunOptions = {},
): Promise<RunResult> {
  const world = new VirtualWorld(options);
  let execution: Execution = pendingExecution(input, contextOf(options.context));
  const history: HistoryRecord[] = [];
  for (let event = world.next(); event !== undefined; event = world.next()) {
    const advanced: Advanced = await advance(machine, execution, event);
    execution = advanced.execution;
    history.push(...advanced.history.filter(({ scope }) => scope === 'main'));
    for (const effect of advanced.effects) world.carryOut(effect);
  }
  const { status, output, error, cause } = execution;
  if (status === 'PENDING' || status === 'RUNNING')
    throw new Error('A thread waits for nothing: this is a bug.');
  return {
    status,
    ...(output !== undefined && { output }),
    ...(error !== undefined && { error }),
    ...(cause !== undefined && { cause }),
    stateSequence: history.flatMap(({ type, state }) =>
      type.endsWith('StateEntered') && state ? [state] : [],
    ),
    history,
  };
}

/** A context object, or the flat facts of an execution by which test data often describes it. */
function contextOf(given: JsonObject | undefined): JsonObject {
  if (given === undefined) return exampleContext();
  const { executionArn, executionName, roleArn, stateMachineArn, stateMachineName, ...rest } = given;
  if (executionArn === undefined && stateMachineArn === undefined) return given;
  return {
    ...rest,
    Execution: {
      Id: executionArn ?? null,
      Name: executionName ?? null,
      RoleArn: roleArn ?? null,
      RedriveCount: 0,
    },
    StateMachine: { Id: stateMachineArn ?? null, Name: stateMachineName ?? null },
  };
}

function exampleContext(): JsonObject {
  const id = 'arn:aws:states:local:000000000000';
  return {
    Execution: {
      Id: `${id}:execution:machine:try`,
      Name: 'try',
      RoleArn: 'arn:aws:iam::000000000000:role/try',
      RedriveCount: 0,
    },
    StateMachine: { Id: `${id}:stateMachine:machine`, Name: 'machine' },
  };
}

type EventPart = ExecutionEvent extends infer Event
  ? Event extends ExecutionEvent
    ? Omit<Event, 'atMs' | 'entropy'>
    : never
  : never;

/** Answers effects: tasks at once, timers when nothing else is left to happen. */
class VirtualWorld {
  readonly #answer: AnswerTask;
  readonly #mockedNames: ReadonlySet<string>;
  readonly #objects: readonly ReadableObject[];
  readonly #seed: string;
  readonly #abortAtMs: number;
  readonly #timers = new Map<string, number>();
  #queue: EventPart[] = [{ type: 'started' }];
  #nowMs: number;
  #given = 0;
  #ended = false;

  constructor({ mocks = {}, objects = [], startAtMs = 0, seed = 'seed', abortAfterMs }: RunOptions) {
    this.#answer = typeof mocks === 'function' ? mocks : answerFrom(mocks);
    this.#mockedNames = new Set(typeof mocks === 'function' ? [] : Object.keys(mocks));
    this.#objects = objects;
    this.#seed = seed;
    this.#nowMs = startAtMs;
    this.#abortAtMs = abortAfterMs === undefined ? Number.POSITIVE_INFINITY : startAtMs + abortAfterMs;
  }

  next(): ExecutionEvent | undefined {
    if (this.#ended) return undefined;
    const part = this.#queue.shift() ?? this.#earliestTimer();
    if (part === undefined) return undefined;
    this.#given += 1;
    return { ...part, atMs: this.#nowMs, entropy: `${this.#seed}:${this.#given}` };
  }

  #earliestTimer(): EventPart | undefined {
    const [first] = [...this.#timers].sort(([, left], [, right]) => left - right);
    if (first === undefined) return undefined;
    const [timer, atMs] = first;
    if (atMs > this.#abortAtMs) {
      this.#nowMs = this.#abortAtMs;
      return { type: 'aborted' };
    }
    this.#timers.delete(timer);
    this.#nowMs = Math.max(this.#nowMs, atMs);
    return { type: 'timerFired', timer };
  }

  carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'runTask':
        this.#queue.push(...taskEvents(effect.task, this.#answer(effect)));
        return;
      case 'readItems':
        this.#queue.push(this.#read(effect));
        return;
      case 'writeResults':
        this.#queue.push({ type: 'resultsWritten', task: effect.task, details: written(effect) });
        return;
      case 'setTimer':
        this.#timers.set(effect.timer, effect.atMs);
        return;
      case 'clearTimer':
        this.#timers.delete(effect.timer);
        return;
      case 'cancelTask':
        return;
      case 'ended':
        this.#ended = true;
    }
  }

  #mocked(effect: Effect & { readonly type: 'readItems' }): readonly Json[] | undefined {
    const { resource, state, config } = effect;
    if (!this.#mockedNames.has(resource) && !this.#mockedNames.has(state)) return undefined;
    return givenItems(
      this.#answer({ ...effect, type: 'runTask', ends: 'answered', attempt: 0, timeoutAtMs: 0 }),
      config,
    );
  }

  #read(effect: Effect & { readonly type: 'readItems' }): EventPart {
    const { task, config } = effect;
    try {
      const given = this.#mocked(effect);
      if (given !== undefined) return { type: 'itemsRead', task, items: given };
      return { type: 'itemsRead', task, items: itemsOf(effect.arguments, config, this.#objects) };
    } catch (error) {
      if (!(error instanceof StateFailure)) throw error;
      return { type: 'taskFailed', task, ...error.failure };
    }
  }
}

/** What a mock says that a reader finds: the items, or the text of the file that they are in. */
function givenItems(outcome: TaskOutcome, config: JsonObject): readonly Json[] {
  if (!('output' in outcome)) throw readerFailure('cause' in outcome ? textOf(outcome.cause ?? '') : '');
  const { output } = outcome;
  const body = isObject(output) ? output.Body : output;
  if (typeof body === 'string') return parseItems(body, config);
  return isArray(output) ? output : [output];
}

function taskEvents(task: string, outcome: TaskOutcome): EventPart[] {
  const submitted: EventPart = { type: 'taskSubmitted', task };
  if ('never_completed' in outcome) return [submitted];
  if ('output' in outcome) return [submitted, { type: 'taskSucceeded', task, output: outcome.output }];
  // What timed out when it was recorded is left to time out again.
  if (outcome.event?.endsWith('TimedOut') === true) return [submitted];
  const { error, cause } = outcome;
  const said = {
    ...(typeof error === 'string' && { error }),
    ...(cause !== undefined && cause !== null && { cause: textOf(cause) }),
  };
  return [submitted, { type: 'taskFailed', task, ...said }];
}

function textOf(cause: Json): string {
  return typeof cause === 'string' ? cause : JSON.stringify(cause);
}

function written(effect: Effect & { readonly type: 'writeResults' }): Json {
  const { Bucket = null, Prefix } = isObject(effect.arguments) ? effect.arguments : {};
  const folder = typeof Prefix === 'string' ? `${Prefix}/` : '';
  return { Bucket, Key: `${folder}${effect.mapRunId}/manifest.json` };
}
