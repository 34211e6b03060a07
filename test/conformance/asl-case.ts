/** A recorded case of the conformance folder, and how the interpreter is asked for the same. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { RunTask } from '../../src/pipeline/asl/execution.ts';
import type { Json } from '../../src/pipeline/asl/json.ts';
import { type AnswerTask, answerFrom, type Mock, type TaskOutcome } from '../../src/pipeline/asl/mocks.ts';
import type { RunOptions, RunResult } from '../../src/pipeline/asl/run.ts';

const json = z.custom<Json>(() => true);
const mock = z.custom<Mock>((value) => typeof value === 'object' && value !== null);
const conformanceCase = z.object({
  id: z.string(),
  definition: json,
  input: json,
  machineType: z.enum(['STANDARD', 'EXPRESS']),
  sync: z.boolean().optional(),
  run: z.object({
    stateMachineArn: z.string(),
    stateMachineName: z.string(),
    executionArn: z.string(),
    executionName: z.string(),
    roleArn: z.string(),
  }),
  expect: z.looseObject({
    status: z.string(),
    sequenceOrdered: z.boolean().optional(),
    eventTypes: z.array(z.string()).optional(),
    eventTypesUnordered: z.boolean().optional(),
    stateOutputs: z.record(z.string(), z.array(z.record(z.string(), json))).optional(),
  }),
  mocks: z.record(z.string(), z.array(mock)).optional(),
  s3Objects: z.array(z.object({ Bucket: z.string(), Key: z.string(), Body: z.string() })).optional(),
  lambdaHandlers: z.record(z.string(), z.string()).optional(),
  wildcards: z.array(z.string()).optional(),
});

export type ConformanceCase = z.infer<typeof conformanceCase>;
type Check = (recorded: ConformanceCase, result: RunResult) => readonly string[];

export interface Comparison {
  readonly check: Check;
  readonly match: (expected: unknown, actual: unknown, wildcards: readonly string[]) => boolean;
  readonly norm: (value: unknown) => unknown;
}

/** Beside the project unless KILN_CONFORMANCE names it. */
export function conformanceFolder(): string | undefined {
  const root = path.resolve(import.meta.dirname, '../..');
  const folder = path.join(process.env.KILN_CONFORMANCE ?? path.join(root, '../shared/conformance'), 'asl');
  return existsSync(path.join(folder, 'compare.mjs')) ? folder : undefined;
}

export async function comparison(folder: string): Promise<Comparison> {
  return await import(pathToFileURL(path.join(folder, 'compare.mjs')).href);
}

export function readCases(folder: string): ReadonlyMap<string, readonly ConformanceCase[]> {
  const files = readdirSync(folder).filter((name) => /^\d+_.*\.json$/.test(name));
  return new Map(
    files.sort().map((name) => {
      // Some recordings have this word where the account stood.
      const text = readFileSync(path.join(folder, name), 'utf8').replaceAll(':us-east-1:pattern:', ACCOUNT);
      const read: unknown = JSON.parse(text);
      return [name, z.array(conformanceCase).parse(read).map(withFixtures)];
    }),
  );
}

const ACCOUNT = ':us-east-1:111111111111:';

/** The folder's tests normalised these without saying so in `wildcards`. */
const PLACEHOLDERS = ['start-time', 'entered-time', '<test-table>'];

/** Names of things made for a test stand in definition and input as placeholders: as the recording calls them. */
function withFixtures(recorded: ConformanceCase): ConformanceCase {
  const expected = JSON.stringify([recorded.expect, recorded.mocks ?? null]);
  const fill = (value: Json): Json => {
    const text = JSON.stringify(value)
      .replaceAll('fx-create_activity-called[activityArn]', 'activity_arn')
      .replaceAll(/fx-[a-z_]+-called(?=")/g, (name) =>
        expected.includes(`${name}.pattern`) ? `${name}.pattern` : name,
      );
    return JSON.parse(text);
  };
  return {
    ...recorded,
    definition: fill(recorded.definition),
    input: fill(recorded.input),
    wildcards: [...(recorded.wildcards ?? []), ...PLACEHOLDERS],
  };
}

/** When the cases were made: times in them are relative to it. */
const RECORDED_AT_MS = Date.parse('2026-11-21T02:16:03Z');

export function runOptions(recorded: ConformanceCase): RunOptions {
  const { run, expect } = recorded;
  const isExpress = recorded.machineType === 'EXPRESS';
  const express = run.stateMachineArn.replace(':stateMachine:', ':express:');
  return {
    mocks: answerTask(recorded),
    context: {
      Execution: {
        Id: isExpress ? `${express}:name:part` : run.executionArn,
        Name: isExpress ? 'name' : run.executionName,
        RoleArn: run.roleArn,
        ...(!isExpress && { RedriveCount: 0 }),
      },
      StateMachine: { Id: run.stateMachineArn, Name: run.stateMachineName },
    },
    objects: recorded.s3Objects ?? [],
    startAtMs: RECORDED_AT_MS,
    ...(expect.status === 'ABORTED' && { abortAfterMs: 1_000 }),
  };
}

/** Recorded answers; where none were recorded, what the case's functions do. */
function answerTask({ mocks, lambdaHandlers }: ConformanceCase): AnswerTask {
  if (mocks !== undefined) return answerFrom(mocks);
  return (task) => {
    if (task.resource === 'activity_arn') {
      return { error: 'States.Runtime', cause: `The activity ${task.resource} does not exist.` };
    }
    return callFunction(task, lambdaHandlers ?? {});
  };
}

function callFunction(task: RunTask, handlers: Readonly<Record<string, string>>): TaskOutcome {
  const asked = JSON.stringify([task.resource, task.arguments]);
  const [, handler] = Object.entries(handlers).find(([name]) => asked.includes(name)) ?? [];
  if (handler?.endsWith('/raise_exception.py') === true)
    return { error: 'Exception', cause: EXCEPTION_CAUSE };
  if (handler?.endsWith('/id_function.py') !== true) throw new Error(`No stand-in for ${asked}.`);
  if (!task.resource.endsWith(':lambda:invoke')) return { output: task.arguments };
  const { Payload = null } = z.object({ Payload: json.optional() }).parse(task.arguments);
  return { output: invocation(Payload) };
}

const EXCEPTION_CAUSE =
  '{"errorMessage": "Some exception was raised.", "errorType": "Exception", "requestId": "0", "stackTrace": ' +
  '["  File \\"/var/task/handler.py\\", line 2, in handler\\n    raise Exception(\\"Some exception was raised.\\")\\n"]}';

/** What AWS Lambda answers, with the recordings' placeholders. */
function invocation(payload: Json): Json {
  const length = String(JSON.stringify(payload).length + 1);
  return {
    ExecutedVersion: '$LATEST',
    Payload: payload,
    SdkHttpMetadata: {
      AllHttpHeaders: {
        'X-Amz-Executed-Version': ['$LATEST'],
        'x-amzn-Remapped-Content-Length': ['0'],
        Connection: ['keep-alive'],
        'x-amzn-RequestId': 'x-amzn-RequestId',
        'Content-Length': [length],
        Date: 'date',
        'X-Amzn-Trace-Id': 'X-Amzn-Trace-Id',
        'Content-Type': ['application/json'],
      },
      HttpHeaders: {
        Connection: 'keep-alive',
        'Content-Length': length,
        'Content-Type': 'application/json',
        Date: 'date',
        'X-Amz-Executed-Version': '$LATEST',
        'x-amzn-Remapped-Content-Length': '0',
        'x-amzn-RequestId': 'x-amzn-RequestId',
        'X-Amzn-Trace-Id': 'X-Amzn-Trace-Id',
      },
      HttpStatusCode: 200,
    },
    SdkResponseMetadata: { RequestId: 'RequestId' },
    StatusCode: 200,
  };
}
