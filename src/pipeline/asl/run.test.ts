/** What the recorded cases leave open: exact delays, heartbeats, time-outs, tolerated failures, batches, limits. */
import { describe, expect, it } from 'vitest';
import { advance, pendingExecution } from './advance.ts';
import type { Execution, ExecutionEvent } from './execution.ts';
import type { Json, JsonObject } from './json.ts';
import { loadStateMachine } from './load.ts';
import { run } from './run.ts';

const task = (more: Json & object) => ({
  StartAt: 'T',
  States: { T: { Type: 'Task', Resource: 'job', End: true, ...more } },
});

/** When the attempts of a task that always fails began, in seconds after the start. */
async function attemptTimes(retry: Json): Promise<number[]> {
  const always = { error: 'Boom' };
  const result = await run(task({ Retry: [retry] }), {}, { mocks: () => always });
  expect(result).toMatchObject({ status: 'FAILED', error: 'Boom' });
  return result.history.filter(({ type }) => type === 'TaskScheduled').map(({ atMs }) => atMs / 1_000);
}

describe('Retry', () => {
  const retry = { ErrorEquals: ['Boom'] };

  it('waits as AWS does by default: 1, 2 and 4 seconds', async () => {
    expect(await attemptTimes(retry)).toEqual([0, 1, 3, 7]);
  });

  it('grows by the rate up to the longest delay', async () => {
    const slow = { ...retry, IntervalSeconds: 3, BackoffRate: 1.5, MaxAttempts: 4, MaxDelaySeconds: 5 };
    expect(await attemptTimes(slow)).toEqual([0, 3, 7.5, 12.5, 17.5]);
  });

  it('draws each delay from the whole of it with full jitter', async () => {
    const times = await attemptTimes({
      ...retry,
      IntervalSeconds: 10,
      BackoffRate: 1,
      JitterStrategy: 'FULL',
    });
    const delays = times.slice(1).map((time, at) => time - (times[at] ?? 0));
    for (const delay of delays) expect(delay).toBeLessThan(10);
    expect(new Set(delays).size).toBe(3);
  });

  it('does not try again what must not be, and says nothing of States.Runtime', async () => {
    const fails = { error: 'Boom' };
    const never = await run(task({ Retry: [{ ...retry, MaxAttempts: 0 }] }), {}, { mocks: { job: [fails] } });
    expect(never.status).toBe('FAILED');
    const runtime = await run(
      task({ Parameters: { 'a.$': '$.none' }, Catch: [{ ErrorEquals: ['States.ALL'], Next: 'T' }] }),
      {},
    );
    expect(runtime).toMatchObject({ status: 'FAILED', error: 'States.Runtime' });
  });
});

describe('time', () => {
  const event = (part: object, atMs: number): ExecutionEvent =>
    ({ atMs, entropy: String(atMs), ...part }) as ExecutionEvent;

  async function executionAfter(definition: object, events: readonly ExecutionEvent[]): Promise<Execution> {
    const machine = await loadStateMachine(definition);
    let execution = pendingExecution({});
    for (const next of events) execution = (await advance(machine, execution, next)).execution;
    return execution;
  }

  it('is over when a heartbeat is missed, and not as long as they come', async () => {
    const beating = task({ HeartbeatSeconds: 10, TimeoutSeconds: 60 });
    const start = event({ type: 'started' }, 0);
    const fired = (atMs: number) => event({ type: 'timerFired', timer: 'task1' }, atMs);
    const beat = event({ type: 'taskHeartbeat', task: 'task1' }, 9_000);
    expect((await executionAfter(beating, [start, fired(10_000)])).status).toBe('FAILED');
    expect((await executionAfter(beating, [start, beat, fired(10_000)])).status).toBe('RUNNING');
    expect((await executionAfter(beating, [start, beat, fired(19_000)])).error).toBe('States.Timeout');
  });

  it('catches a missed heartbeat by its own name, and a time-out not by States.TaskFailed', async () => {
    const caughtBy = async (name: string, limits: object): Promise<string> => {
      const definition = {
        StartAt: 'T',
        States: {
          T: {
            Type: 'Task',
            Resource: 'job',
            ...limits,
            Catch: [{ ErrorEquals: [name], Next: 'Caught' }],
            End: true,
          },
          Caught: { Type: 'Succeed' },
        },
      };
      return (await run(definition, {}, { mocks: () => ({ never_completed: true }) })).status;
    };
    expect(await caughtBy('States.HeartbeatTimeout', { HeartbeatSeconds: 5 })).toBe('SUCCEEDED');
    expect(await caughtBy('States.HeartbeatTimeout', { TimeoutSeconds: 5 })).toBe('FAILED');
    expect(await caughtBy('States.Timeout', { TimeoutSeconds: 5 })).toBe('SUCCEEDED');
    expect(await caughtBy('States.TaskFailed', { TimeoutSeconds: 5 })).toBe('FAILED');
  });

  it('is over for the whole machine, whatever it waits for', async () => {
    const waits = { Type: 'Wait', Seconds: 100, End: true };
    const result = await run({ StartAt: 'W', TimeoutSeconds: 10, States: { W: waits } }, {});
    expect(result).toMatchObject({ status: 'TIMED_OUT', error: 'States.Timeout' });
    expect(result.history.at(-1)?.atMs).toBe(10_000);
  });
});

describe('distributed Map', () => {
  const each = (more: object, States: object) => ({
    StartAt: 'M',
    States: {
      M: {
        Type: 'Map',
        ...more,
        ItemProcessor: { ProcessorConfig: { Mode: 'DISTRIBUTED' }, StartAt: 'I', States },
        End: true,
      },
    },
  });
  const odd = {
    I: { Type: 'Choice', Choices: [{ Variable: '$', NumericGreaterThan: 2, Next: 'No' }], Default: 'Yes' },
    No: { Type: 'Fail', Error: 'TooLarge' },
    Yes: {
      Type: 'Pass',
      Parameters: { 'id.$': '$$.Execution.Name', 'in.$': '$$.Execution.Input' },
      End: true,
    },
  };

  it('fails beyond what it tolerates, and gives what succeeded within it', async () => {
    expect(await run(each({}, odd), [1, 2, 3])).toMatchObject({
      status: 'FAILED',
      error: 'States.ExceedToleratedFailureThreshold',
    });
    expect((await run(each({ ToleratedFailureCount: 1 }, odd), [1, 2, 3])).output).toMatchObject([
      { in: 1 },
      { in: 2 },
    ]);
    expect((await run(each({ ToleratedFailurePercentage: 50 }, odd), [1, 3, 4])).status).toBe('FAILED');
    expect((await run(each({ ToleratedFailurePercentage: 70 }, odd), [1, 3, 4])).status).toBe('SUCCEEDED');
  });

  it('goes through ten thousand items, a thousand at a time', async () => {
    const machine = await loadStateMachine(each({}, { I: { Type: 'Pass', End: true } }));
    const items = Array.from({ length: 10_000 }, (_, at) => at);
    const started: ExecutionEvent = { type: 'started', atMs: 0, entropy: 'e' };
    const { execution } = await advance(machine, pendingExecution(items), started);
    expect(execution.output).toEqual(items);
  });

  it('takes items from what a mock says that the reader finds', async () => {
    const reader = {
      ItemReader: { Resource: 'files', ReaderConfig: { InputType: 'CSV', CSVHeaderLocation: 'FIRST_ROW' } },
    };
    const same = { I: { Type: 'Pass', End: true } };
    const text = { output: 'a,b\n1,"2\n""x"""\n' };
    const read = await run(each(reader, same), {}, { mocks: { files: [text] } });
    expect(read.output).toEqual([{ a: '1', b: '2\n"x"' }]);
    expect((await run(each(reader, same), {}, { mocks: { M: [{ output: [7, 8] }] } })).output).toEqual([
      7, 8,
    ]);
    const absent = { ItemReader: { ...reader.ItemReader, Parameters: { Key: 'none.csv' } } };
    expect((await run(each(absent, same), {})).error).toBe('States.ItemReaderFailed');
  });

  it('takes items from the files that a manifest names, and from those of a listing', async () => {
    const same = { I: { Type: 'Pass', End: true } };
    const objects = [
      { Bucket: 'b', Key: 'm.csv', Body: 's3://b/1\n"s3://b/2"\n' },
      { Bucket: 'b', Key: '1', Body: '{"n": 1}\n{"n": 2}' },
      { Bucket: 'b', Key: '2', Body: '{"n": 3}' },
    ];
    const read = async (Resource: string, ReaderConfig: JsonObject, Parameters: JsonObject) =>
      (await run(each({ ItemReader: { Resource, ReaderConfig, Parameters } }, same), {}, { objects })).output;
    const athena = { ManifestType: 'ATHENA_DATA', InputType: 'JSONL' };
    const numbers = [{ n: 1 }, { n: 2 }, { n: 3 }];
    expect(await read('arn:aws:states:::s3:getObject', athena, { Bucket: 'b', Key: 'm.csv' })).toEqual(
      numbers,
    );
    const loaded = { Transformation: 'LOAD_AND_FLATTEN', InputType: 'JSONL', MaxItems: 2 };
    const listed = { Bucket: 'b', Prefix: '1' };
    expect(await read('arn:aws:states:::s3:listObjectsV2', loaded, listed)).toEqual(numbers.slice(0, 2));
  });

  it('tells of each child where nothing is to be made of the results', async () => {
    const writer = { ResultWriter: { WriterConfig: { Transformation: 'NONE', OutputType: 'JSON' } } };
    const told = await run(each({ ...writer, ToleratedFailureCount: 1 }, odd), [1, 3]);
    expect(told.output).toMatchObject([
      { Status: 'SUCCEEDED', Input: '1', OutputDetails: { Included: true } },
      { Status: 'FAILED', Input: '3', Error: 'TooLarge' },
    ]);
  });

  it('batches by number and by size, with what all share', async () => {
    const same = { I: { Type: 'Pass', End: true } };
    const batcher = { MaxItemsPerBatch: 2, BatchInput: { 'all.$': '$.all' } };
    const definition = each({ ItemsPath: '$.items', ItemBatcher: batcher }, same);
    expect((await run(definition, { all: 7, items: [1, 2, 3] })).output).toEqual([
      { BatchInput: { all: 7 }, Items: [1, 2] },
      { BatchInput: { all: 7 }, Items: [3] },
    ]);
    const bySize = each({ ItemBatcher: { MaxInputBytesPerBatch: 9 } }, same);
    expect((await run(bySize, ['aaaa', 'bb', 'c', 'd'])).output).toEqual([
      { Items: ['aaaa'] },
      { Items: ['bb', 'c'] },
      { Items: ['d'] },
    ]);
    // Without a size, as many as a state may be given.
    const many = Array.from({ length: 5 }, () => 'x'.repeat(100_000));
    const first = { I: { Type: 'Pass', Parameters: { 'n.$': 'States.ArrayLength($.Items)' }, End: true } };
    const read = { ItemReader: { Resource: 'files', Parameters: {} }, ItemBatcher: { MaxItemsPerBatch: 5 } };
    const batched = await run(each(read, first), {}, { mocks: { files: [{ output: many }] } });
    expect(batched.output).toEqual([{ n: 2 }, { n: 2 }, { n: 1 }]);
  });

  it('counts the items of a batch that has failed, not the batch', async () => {
    const pick = [{ Variable: '$.Items[0]', NumericGreaterThan: 2, Next: 'No' }];
    const states = {
      I: { Type: 'Choice', Choices: pick, Default: 'Yes' },
      No: { Type: 'Fail', Error: 'TooLarge' },
      Yes: { Type: 'Pass', End: true },
    };
    const tolerant = (more: object) =>
      run(each({ ItemBatcher: { MaxItemsPerBatch: 2 }, ...more }, states), [1, 2, 3, 4, 5]);
    expect((await tolerant({ ToleratedFailureCount: 2 })).error).toBe(
      'States.ExceedToleratedFailureThreshold',
    );
    expect((await tolerant({ ToleratedFailureCount: 3 })).output).toEqual([{ Items: [1, 2] }]);
    expect((await tolerant({ ToleratedFailurePercentage: 59 })).status).toBe('FAILED');
    expect((await tolerant({ ToleratedFailurePercentage: 60 })).status).toBe('SUCCEEDED');
  });
});

describe('Catch and Assign', () => {
  it('give the words of the failure, and empty texts for those that are missing', async () => {
    const caught = (branch: Json) => ({
      StartAt: 'P',
      States: {
        P: {
          Type: 'Parallel',
          Branches: [{ StartAt: 'B', States: { B: branch } }],
          Catch: [{ ErrorEquals: ['States.ALL'], ResultPath: '$.why', Next: 'End' }],
          End: true,
        },
        End: { Type: 'Succeed' },
      },
    });
    const bare = await run(caught({ Type: 'Fail' }), { a: 1 });
    expect(bare.output).toEqual({ a: 1, why: { Error: '', Cause: '' } });
    const named = await run(caught({ Type: 'Fail', Error: 'E', Cause: 'C' }), { a: 1 });
    expect(named.output).toEqual({ a: 1, why: { Error: 'E', Cause: 'C' } });
  });

  it('assign from the result as it came', async () => {
    const definition = {
      StartAt: 'T',
      States: {
        T: {
          Type: 'Task',
          Resource: 'r',
          ResultSelector: { 'small.$': '$.b' },
          Assign: { 'whole.$': '$' },
          Next: 'U',
        },
        U: { Type: 'Pass', Parameters: { 'whole.$': '$whole', 'selected.$': '$' }, End: true },
      },
    };
    const { output } = await run(definition, {}, { mocks: { r: [{ output: { b: 1, c: 2 } }] } });
    expect(output).toEqual({ whole: { b: 1, c: 2 }, selected: { small: 1 } });
  });
});

describe('limits', () => {
  it('stops a JSONata expression that does not end', async () => {
    const endless = '{% ($f := function($n) { $f($n + 1) }; $f(0)) %}';
    const result = await run(
      { StartAt: 'P', QueryLanguage: 'JSONata', States: { P: { Type: 'Pass', Output: endless, End: true } } },
      {},
    );
    expect(result).toMatchObject({ status: 'FAILED', error: 'States.QueryEvaluationError' });
    expect(result.cause).toContain('does not end');
  });

  it('takes no result that is larger than AWS takes', async () => {
    const large = { output: 'x'.repeat(300_000) };
    const result = await run(task({}), {}, { mocks: { job: [large] } });
    expect(result).toMatchObject({ status: 'FAILED', error: 'States.DataLimitExceeded' });
    // Nor an output that is put together of several; who names the error may go on.
    const half = { StartAt: 'H', States: { H: { Type: 'Pass', Result: 'x'.repeat(150_000), End: true } } };
    const both = (Catch: Json) => ({
      StartAt: 'Both',
      States: {
        Both: { Type: 'Parallel', Branches: [half, half], Catch, End: true },
        Sorry: { Type: 'Pass', End: true },
      },
    });
    const catcher = (name: string) => both([{ ErrorEquals: [name], Next: 'Sorry' }]);
    expect(await run(catcher('States.ALL'), {})).toMatchObject({
      status: 'FAILED',
      error: 'States.DataLimitExceeded',
      cause: expect.stringContaining("The state/task 'Both' returned a result"),
    });
    expect((await run(catcher('States.DataLimitExceeded'), {})).status).toBe('SUCCEEDED');
  });

  it('keeps keys that look like an object’s own', async () => {
    const input: Json = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}');
    const definition = {
      StartAt: 'P',
      States: { P: { Type: 'Pass', Parameters: { 'a.$': '$.constructor' }, ResultPath: '$.out', End: true } },
    };
    const { output } = await run(definition, input);
    expect(JSON.stringify(output)).toBe('{"__proto__":{"polluted":true},"constructor":1,"out":{"a":1}}');
    expect({}).not.toHaveProperty('polluted');
  });

  it('compares texts with stars at any length in no time', async () => {
    const definition = {
      StartAt: 'C',
      States: {
        C: {
          Type: 'Choice',
          Choices: [{ Variable: '$', StringMatches: `${'*a'.repeat(50)}*b`, Next: 'Yes' }],
          Default: 'No',
        },
        Yes: { Type: 'Succeed' },
        No: { Type: 'Fail', Error: 'No' },
      },
    };
    expect((await run(definition, 'a'.repeat(20_000))).status).toBe('FAILED');
    expect((await run(definition, `${'a'.repeat(20_000)}b`)).status).toBe('SUCCEEDED');
  });
});
