/**
 * The shape of a definition: fields and their types, named as the Amazon States Language names them. What no
 * schema can say (targets of transitions, reachability, syntax of paths) is in `rules.ts`.
 */
import { z } from 'zod';
import type { Json, JsonObject } from './json.ts';

const anyJson = z.custom<Json>(isJson, 'a JSON value');
const jsonObject = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && isJson(value),
  'a map',
);
const text = z.string('a text');
const path = z.string('a path that begins with $');
const pathOrNull = z.union([path, z.null()], 'a path that begins with $, or null');
const expression = z
  .string()
  .refine((written) => written.startsWith('{%') && written.endsWith('%}'), 'a {% … %} expression');
const count = z.number('a whole number').int('a whole number').min(0, 'a whole number from 0 up');
const countOrExpression = z.union([count, expression], 'a whole number or a {% … %} expression');
const seconds = z.number('seconds').int('whole seconds').min(1, 'seconds from 1 to 99999999').max(99_999_999);
const secondsOrExpression = z.union([seconds, expression], 'seconds, or a {% … %} expression');
const names = z.array(text, 'a list of error names').min(1, 'at least one error name');
const language = z.enum(['JSONPath', 'JSONata'], 'JSONPath or JSONata');

const common = {
  Comment: text.optional(),
  QueryLanguage: language.optional(),
  InputPath: pathOrNull.optional(),
  OutputPath: pathOrNull.optional(),
  Output: anyJson.optional(),
};
const leads = {
  Next: text.optional(),
  End: z.boolean('true').optional(),
  Assign: jsonObject.optional(),
};
const retrier = z.strictObject({
  Comment: text.optional(),
  ErrorEquals: names,
  IntervalSeconds: seconds.optional(),
  MaxAttempts: count.max(99_999_999).optional(),
  BackoffRate: z.number('a number').min(1, 'a number from 1 up').optional(),
  MaxDelaySeconds: seconds.max(31_622_400, 'at most 31622400 seconds').optional(),
  JitterStrategy: z.enum(['FULL', 'NONE'], 'FULL or NONE').optional(),
});
const catcher = z.strictObject({
  Comment: text.optional(),
  ErrorEquals: names,
  Next: text,
  ResultPath: pathOrNull.optional(),
  Assign: jsonObject.optional(),
  Output: anyJson.optional(),
});
const handled = {
  Retry: z.array(retrier, 'a list').optional(),
  Catch: z.array(catcher, 'a list').optional(),
};
const worked = {
  Parameters: anyJson.optional(),
  Arguments: anyJson.optional(),
  ResultSelector: jsonObject.optional(),
  ResultPath: pathOrNull.optional(),
};

const pass = z.strictObject({
  ...common,
  ...leads,
  Type: z.literal('Pass'),
  Result: anyJson.optional(),
  Parameters: anyJson.optional(),
  ResultPath: pathOrNull.optional(),
});
const task = z.strictObject({
  ...common,
  ...leads,
  ...worked,
  ...handled,
  Type: z.literal('Task'),
  Resource: text,
  TimeoutSeconds: secondsOrExpression.optional(),
  TimeoutSecondsPath: path.optional(),
  HeartbeatSeconds: secondsOrExpression.optional(),
  HeartbeatSecondsPath: path.optional(),
  Credentials: jsonObject.optional(),
});

/** A rule is checked for its fields in `choice-rules.ts`, since operators are many and nest. */
const choice = z.strictObject({
  ...common,
  Type: z.literal('Choice'),
  Choices: z.array(jsonObject, 'a list of rules').min(1, 'at least one rule'),
  Default: text.optional(),
  Assign: jsonObject.optional(),
});
const wait = z.strictObject({
  ...common,
  ...leads,
  Type: z.literal('Wait'),
  Seconds: z.union([count.max(99_999_999), expression], 'whole seconds, or a {% … %} expression').optional(),
  SecondsPath: path.optional(),
  Timestamp: text.optional(),
  TimestampPath: path.optional(),
});
const succeed = z.strictObject({ ...common, Type: z.literal('Succeed') });
const fail = z.strictObject({
  Comment: text.optional(),
  QueryLanguage: language.optional(),
  Type: z.literal('Fail'),
  Error: text.optional(),
  ErrorPath: text.optional(),
  Cause: text.optional(),
  CausePath: text.optional(),
});

const processorConfig = z.strictObject({
  Mode: z.enum(['INLINE', 'DISTRIBUTED'], 'INLINE or DISTRIBUTED').optional(),
  ExecutionType: z.enum(['STANDARD', 'EXPRESS'], 'STANDARD or EXPRESS').optional(),
});
const readerConfig = z.strictObject({
  InputType: z
    .enum(['CSV', 'JSON', 'JSONL', 'MANIFEST', 'PARQUET'], 'CSV, JSON, JSONL, MANIFEST or PARQUET')
    .optional(),
  ManifestType: z.enum(['ATHENA_DATA', 'S3_INVENTORY'], 'ATHENA_DATA or S3_INVENTORY').optional(),
  Transformation: z.enum(['NONE', 'LOAD_AND_FLATTEN'], 'NONE or LOAD_AND_FLATTEN').optional(),
  CSVHeaderLocation: z.enum(['FIRST_ROW', 'GIVEN'], 'FIRST_ROW or GIVEN').optional(),
  CSVHeaders: z.array(text, 'a list of texts').optional(),
  CSVDelimiter: z.enum(['COMMA', 'PIPE', 'SEMICOLON', 'SPACE', 'TAB']).optional(),
  ItemsPointer: text.optional(),
  MaxItems: z.union([z.number().int(), expression], 'a whole number').optional(),
  MaxItemsPath: path.optional(),
});
const itemReader = z.strictObject({
  Resource: text,
  ReaderConfig: readerConfig.optional(),
  Parameters: jsonObject.optional(),
  Arguments: z.union([jsonObject, expression]).optional(),
});
const itemBatcher = z.strictObject({
  BatchInput: anyJson.optional(),
  MaxItemsPerBatch: countOrExpression.optional(),
  MaxItemsPerBatchPath: path.optional(),
  MaxInputBytesPerBatch: countOrExpression.optional(),
  MaxInputBytesPerBatchPath: path.optional(),
});
const resultWriter = z.strictObject({
  Resource: text.optional(),
  Parameters: jsonObject.optional(),
  Arguments: z.union([jsonObject, expression]).optional(),
  WriterConfig: z
    .strictObject({
      OutputType: z.enum(['JSON', 'JSONL'], 'JSON or JSONL').optional(),
      Transformation: z.enum(['NONE', 'COMPACT', 'FLATTEN'], 'NONE, COMPACT or FLATTEN').optional(),
    })
    .optional(),
});
const mapFields = z.strictObject({
  ...common,
  ...leads,
  ...worked,
  ...handled,
  Type: z.literal('Map'),
  ItemsPath: path.optional(),
  Items: z.union([z.array(anyJson), expression, jsonObject], 'a list or a {% … %} expression').optional(),
  ItemSelector: anyJson.optional(),
  ItemReader: itemReader.optional(),
  ItemBatcher: itemBatcher.optional(),
  ResultWriter: resultWriter.optional(),
  MaxConcurrency: countOrExpression.optional(),
  MaxConcurrencyPath: path.optional(),
  ToleratedFailurePercentage: z
    .union([z.number().min(0).max(100), expression], 'a number from 0 to 100, or a {% … %} expression')
    .optional(),
  ToleratedFailurePercentagePath: path.optional(),
  ToleratedFailureCount: countOrExpression.optional(),
  ToleratedFailureCountPath: path.optional(),
  Label: z.string().max(40, 'at most 40 characters').optional(),
});

const levelFields = { Comment: text.optional(), StartAt: text };
const parallelFields = z.strictObject({
  ...common,
  ...leads,
  ...worked,
  ...handled,
  Type: z.literal('Parallel'),
});
const simple = [pass, task, choice, wait, succeed, fail] as const;

type Level = z.infer<z.ZodObject<typeof levelFields>> & { States: Record<string, State> };
type Processor = Level & { ProcessorConfig?: z.infer<typeof processorConfig> | undefined };
type Parallel = z.infer<typeof parallelFields> & { Branches: Level[] };
type Mapping = z.infer<typeof mapFields> & {
  ItemProcessor?: Processor | undefined;
  Iterator?: Processor | undefined;
};
export type State = z.infer<(typeof simple)[number]> | Parallel | Mapping;

/** States hold states: the type is said here so that the schemas may name each other. */
const states: z.ZodType<Record<string, State>> = z.lazy(() => z.record(z.string(), state, 'a map of states'));
const branch = z.strictObject({ ...levelFields, States: states });
const processor = branch.extend({ ProcessorConfig: processorConfig.optional() });
const state = z.discriminatedUnion('Type', [
  ...simple,
  parallelFields.extend({ Branches: z.array(branch, 'a list of branches').min(1, 'at least one branch') }),
  mapFields.extend({ ItemProcessor: processor.optional(), Iterator: processor.optional() }),
]);

export const stateMachine = processor.extend({
  QueryLanguage: language.optional(),
  Version: text.optional(),
  TimeoutSeconds: seconds.optional(),
});

function isJson(value: unknown): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isJson);
  return typeof value === 'object' && Object.values(value).every(isJson);
}
