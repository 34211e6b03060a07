import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { EXIT } from '../../api/failures.ts';
import { KilnError } from '../../domain/errors.ts';
import { isObject, type Json, type JsonObject } from '../../pipeline/asl/json.ts';
import type { Mocks } from '../../pipeline/asl/mocks.ts';
import type { LimitOf } from '../../pipeline/definition/verb-limits.ts';
import type { PipelineText } from '../../pipeline/pipeline-files.ts';
import { answer, type Context, choiceFlag, hint, isSet, textFlag } from '../context.ts';
import { checkPipeline } from './pipeline-check.ts';
import { EXECUTION_ACTIONS } from './pipeline-executions.ts';
import { PAUSE_ACTIONS } from './pipeline-pauses.ts';
import { SOURCE_ACTIONS } from './pipeline-sources.ts';

export const ACTIONS: Readonly<Record<string, (context: Context) => Promise<number>>> = {
  ...EXECUTION_ACTIONS,
  ...SOURCE_ACTIONS,
  ...PAUSE_ACTIONS,
  check: checkPipeline,
  try: tryOut,
  graph: draw,
  export: exportDefinition,
};

export async function run(context: Context): Promise<number> {
  const [name] = context.args;
  const action = name !== undefined && Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action !== undefined) return action(context);
  const { suggest } = await import('../../component/suggest.ts');
  const near = name === undefined ? undefined : suggest(name, Object.keys(ACTIONS));
  const said = name === undefined ? 'What shall kiln pipeline do?' : `kiln pipeline cannot do "${name}".`;
  throw new KilnError('input.invalid', said, {
    next:
      near === undefined
        ? `Choose ${Object.keys(ACTIONS).join(', ')}; each is explained by kiln pipeline --help.`
        : `Did you mean: kiln pipeline ${[near, ...context.args.slice(1)].join(' ')}`,
  });
}

/**
 * A dry run in virtual time. Programs read how it ended from the JSON, which is there whatever the end: exit code 0.
 * People, and scripts that only ask whether it works, get 1 for an execution that does not succeed.
 */
async function tryOut(context: Context): Promise<number> {
  const { readPipeline } = await import('../../pipeline/definition/pipeline-file.ts');
  const { runMachine } = await import('../../pipeline/asl/run.ts');
  const { text: written, file } = await definitionText(context);
  const { machine } = await readPipeline(written, file);
  const input = (await jsonFile(context, 'input')) ?? {};
  const mocks = mocksOf(await jsonFile(context, 'mocks'));
  const given = await jsonFile(context, 'context');
  const result = await runMachine(machine, input, {
    mocks,
    startAtMs: context.now(),
    ...(isObject(given) && { context: given }),
  });
  const { history: _, ...shown } = result;
  const told = answer(context, shown, () => {
    const { terminal } = context;
    const end =
      result.status === 'SUCCEEDED'
        ? terminal.colors.green(result.status)
        : terminal.colors.red(result.status);
    const failure = [result.error, result.cause].filter((part) => part !== undefined).join(': ');
    const output = result.output === undefined ? failure : JSON.stringify(result.output, null, 2);
    return [`${result.stateSequence.join(' → ')}`, end, ...(output === '' ? [] : [output])].join('\n');
  });
  return context.json || result.status === 'SUCCEEDED' ? told : EXIT.negative;
}

async function draw(context: Context): Promise<number> {
  const { readPipeline } = await import('../../pipeline/definition/pipeline-file.ts');
  const { text: written, file } = await definitionText(context);
  const { withLimits } = await import('../../pipeline/definition/verb-limits.ts');
  const machine = withLimits((await readPipeline(written, file)).machine, await ownLimits());
  const format = choiceFlag(context.flags, 'format', '--format', ['mermaid', 'svg']) ?? 'mermaid';
  const { graphOf } = await import('../../pipeline/definition/graph.ts');
  const { mermaid } = await import('../../pipeline/definition/mermaid.ts');
  const { svg } = await import('../../pipeline/definition/svg.ts');
  const text = format === 'svg' ? svg(graphOf(machine)) : mermaid(graphOf(machine));
  return answer(context, { format, text }, () => text.trimEnd());
}

/** The same definition for AWS Step Functions; its Activities are named, since they must exist before it does. */
async function exportDefinition(context: Context): Promise<number> {
  const { readPipeline } = await import('../../pipeline/definition/pipeline-file.ts');
  const { exportForAws } = await import('../../pipeline/export/aws-definition.ts');
  const { awsPlace } = await import('./aws-place.ts');
  if (!isSet(context.flags, 'aws')) {
    throw new KilnError('input.invalid', 'A pipeline is exported for AWS.', { next: 'Add --aws.' });
  }
  const { text: written, file } = await definitionText(context);
  const { machine } = await readPipeline(written, file);
  const exported = exportForAws(machine, awsPlace(context), await ownLimits());
  for (const { name } of exported.activities)
    hint(context, `its activity: aws stepfunctions create-activity --name ${name}`);
  return answer(context, exported, () => JSON.stringify(exported.definition, null, 2));
}

/** As the verbs declare them: which others a server's settings name is not known here. */
async function ownLimits(): Promise<LimitOf> {
  const { verbLimits } = await import('../../pipeline/definition/verb-limits.ts');
  const { RESOURCES } = await import('../../pipeline/task-registry.ts');
  return verbLimits(RESOURCES);
}

/** Without the option, the folder's own. */
async function definitionText({ flags }: Context): Promise<PipelineText> {
  const { PIPELINE_FILE, pipelineIn } = await import('../../pipeline/pipeline-files.ts');
  const named = textFlag(flags, 'definition');
  const own = named === undefined ? await pipelineIn('.') : undefined;
  const file = named ?? PIPELINE_FILE;
  return own ?? { file, text: await readText(file, '--definition') };
}

async function readText(file: string, flag: string): Promise<string> {
  try {
    return await readFile(path.resolve(file), 'utf8');
  } catch (error) {
    throw new KilnError('input.invalid', `${file} cannot be read.`, {
      cause: error,
      next: `Give ${flag} a file that exists.`,
    });
  }
}

async function jsonFile(context: Context, flag: string): Promise<Json | undefined> {
  const file = textFlag(context.flags, flag);
  if (file === undefined) return undefined;
  const text = await readText(file, `--${flag}`);
  try {
    const value: Json = JSON.parse(text);
    return value;
  } catch (error) {
    throw new KilnError('input.invalid', `${file} is not JSON.`, { cause: error, next: 'Correct the file.' });
  }
}

const mock = z.custom<JsonObject>(isObject, 'a map with output, or error and cause');
const mocksShape = z.record(
  z.string(),
  z.array(mock, 'a list of results'),
  'a map of results by resource or state',
);

function mocksOf(value: Json | undefined): Mocks {
  const read = mocksShape.safeParse(value ?? {});
  if (read.success) return read.data;
  throw new KilnError('input.invalid', 'The mocks are not as they should be.', {
    next: 'Write {"resource or state": [{"output": …} or {"error": "…", "cause": "…"}]}.',
    faults: read.error.issues.map(({ path: at, message }) => ({ path: at.join('.'), message })),
  });
}
