/** The actions of `kiln pipeline` that speak with a server: executions, from their start to their end. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Answer } from '../../api/contract.ts';
import { EXIT } from '../../api/failures.ts';
import { KilnError } from '../../domain/errors.ts';
import { evidenceText } from '../../domain/evidence-text.ts';
import { askParameters } from '../ask-parameters.ts';
import { answer, type Context, choiceFlag, hint, isSet, numberFlag, textFlag } from '../context.ts';
import { untilEnded } from '../ended-work.ts';
import { assertHasRun } from '../known-pipeline.ts';
import { isAddress, shortCommit } from '../names.ts';
import { table } from '../table.ts';
import { agoText, momentOf } from '../time.ts';
import { health } from './pipeline-health.ts';
import { logs } from './pipeline-logs.ts';

type Execution = Answer<'executions.get'>;

/** Of what a pipeline hands to whoever decides. */
const EVIDENCE_LINES = 20;

export const EXECUTION_ACTIONS: Readonly<Record<string, (context: Context) => Promise<number>>> = {
  run: start,
  list,
  show,
  why,
  logs,
  health,
  cancel,
  retry,
  approve: (context) => decide(context, true),
  reject: (context) => decide(context, false),
  eject,
};

async function start(context: Context): Promise<number> {
  const place = placeOf(context);
  const parameters = await askParameters(context, place);
  const body = { ...place, parameters };
  return follow(
    context,
    await context.client().call('executions.start', { body }, { signal: context.signal }),
  );
}

/** A folder of this machine, or a commit of a repository. */
function placeOf({ args, flags }: Context) {
  const [, where = '.'] = args;
  const [file, at, within] = ['file', 'at', 'directory'].map((name) => textFlag(flags, name));
  const named = { ...(file !== undefined && { file }), ...(at !== undefined && { at }) };
  if (!isAddress(where)) return { directory: path.resolve(where), ...named };
  return { repository: where, ...named, ...(within !== undefined && { directory: within }) };
}

async function retry(context: Context): Promise<number> {
  const from = choiceFlag(context.flags, 'from', '--from', ['failure', 'start'] as const) ?? 'failure';
  const begun = await context
    .client()
    .call('executions.retry', { params: { id: idOf(context) }, body: { from } }, { signal: context.signal });
  return follow(context, begun);
}

/** To its end, or until it waits for a person: nobody at a terminal can be waited for here. */
async function follow(context: Context, begun: Execution): Promise<number> {
  const { progress, signal } = context;
  const { id } = begun;
  if (isSet(context.flags, 'detach')) {
    hint(context, `next: kiln pipeline why ${id}`);
    return answer(context, begun, () => `${id} goes on in the server`);
  }
  context.onInterrupt(() => `the execution goes on in the server; end it: kiln pipeline cancel ${id}`);
  progress.begin(`${begun.pipeline}: ${id}`);
  const client = context.client();
  const execution = await untilEnded(
    begun,
    (one) => one.endedAtMs !== undefined || isForPeople(one),
    async () => {
      const one = await client.call('executions.get', { params: { id }, query: { wait: 1 } }, { signal });
      const [first] = one.waits;
      if (first !== undefined) progress.update(`${first.state}: ${first.text}`);
      return one;
    },
  );
  if (execution.endedAtMs === undefined) {
    progress.end('same', `${id} waits for a person`);
    answer(context, execution, () => whyText(execution));
    hint(context, `next: kiln pipeline approve ${id}`);
    return EXIT.ok;
  }
  progress.end(execution.status === 'SUCCEEDED' ? 'done' : 'failed', `${id} ${execution.status}`);
  answer(context, execution, () => endText(execution));
  if (execution.status === 'SUCCEEDED') return EXIT.ok;
  hint(context, `next: kiln pipeline show ${id}; go on from where it failed: kiln pipeline retry ${id}`);
  return EXIT.negative;
}

function isForPeople({ waits }: Execution): boolean {
  return waits.length > 0 && waits.every(({ kind }) => kind === 'approval');
}

async function list(context: Context): Promise<number> {
  const pipeline = context.args[1];
  const query = { ...searchOf(context), ...(pipeline !== undefined && { pipeline }) };
  const page = await context.client().call('executions.list', { query }, { signal: context.signal });
  if (page.items.length === 0 && pipeline !== undefined) await assertHasRun(context, pipeline);
  if (page.items.length > 0) hint(context, 'one of them: kiln pipeline show ID');
  if (page.cursor !== undefined) hint(context, `more: --cursor ${page.cursor}`);
  return answer(context, page, () =>
    page.items.length === 0 ? noneText(context) : tableOf(context, page.items),
  );
}

/** None at all, or none of those that were asked for. */
function noneText({ flags, args }: Context): string {
  const isSearch = args.length > 1 || SEARCH_FLAGS.some((name) => textFlag(flags, name) !== undefined);
  return isSearch ? 'No execution fits.' : 'There is no execution yet: kiln pipeline run DIR';
}

const SEARCH_FLAGS = ['status', 'trigger', 'commit', 'text', 'cursor', 'by', 'since', 'until'];

function searchOf({ flags, now }: Context) {
  const words = ['status', 'trigger', 'commit', 'text', 'cursor'] as const;
  const given = words.flatMap((name) => {
    const text = textFlag(flags, name);
    return text === undefined ? [] : [[name, text] as const];
  });
  const [actor, since, until] = ['by', 'since', 'until'].map((name) => textFlag(flags, name));
  return {
    ...Object.fromEntries(given),
    limit: numberFlag(flags, 'limit', '--limit') ?? 50,
    ...(actor !== undefined && { actor }),
    ...(since !== undefined && { from: momentOf(since, '--since', now()) }),
    ...(until !== undefined && { before: momentOf(until, '--until', now()) }),
  };
}

function tableOf({ terminal, now }: Context, items: Answer<'executions.list'>['items']): string {
  return table(
    ['ID', 'PIPELINE', 'STATUS', 'STARTED', 'BY', 'TRIGGER', 'COMMIT'],
    items.map(({ id, pipeline, status, createdAtMs, createdBy, trigger = '', commit = '' }) => [
      id,
      pipeline,
      status,
      agoText(createdAtMs, now()),
      createdBy,
      trigger,
      shortCommit(commit),
    ]),
    terminal.colors,
  );
}

async function show(context: Context): Promise<number> {
  const params = { id: idOf(context) };
  const client = context.client();
  const { signal } = context;
  const [execution, { items }] = await Promise.all([
    client.call('executions.get', { params, query: {} }, { signal }),
    client.call('executions.history', { params }, { signal }),
  ]);
  hintNext(context, execution);
  return answer(context, { ...execution, history: items }, () => {
    const lines = items
      .filter(({ type }) => !/Scheduled|Started|Submitted/.test(type))
      .map(({ atMs, type, state = '', error, cause }) => {
        const failure = [error, cause].filter((part) => part !== undefined).join(': ');
        return `${new Date(atMs).toISOString()}  ${type.padEnd(24)} ${state}${failure === '' ? '' : `  ${failure}`}`;
      });
    return [...lines, execution.endedAtMs === undefined ? whyText(execution) : endText(execution)].join('\n');
  });
}

async function why(context: Context): Promise<number> {
  const params = { id: idOf(context) };
  const execution = await context
    .client()
    .call('executions.get', { params, query: {} }, { signal: context.signal });
  hintNext(context, execution);
  return answer(context, execution.waits, () =>
    execution.endedAtMs === undefined ? whyText(execution) : endText(execution),
  );
}

/** What can be done about it as it stands; nothing where it has succeeded. */
function hintNext(context: Context, execution: Execution): void {
  const { id, status, endedAtMs } = execution;
  if (status === 'SUCCEEDED') return;
  if (endedAtMs !== undefined) hint(context, `go on from where it failed: kiln pipeline retry ${id}`);
  else if (isForPeople(execution)) hint(context, `next: kiln pipeline approve ${id} (or reject)`);
  else hint(context, `what it writes: kiln pipeline logs ${id} -f; end it: kiln pipeline cancel ${id}`);
}

async function cancel(context: Context): Promise<number> {
  const params = { id: idOf(context) };
  const client = context.client();
  await client.call('executions.cancel', { params }, { signal: context.signal });
  const ended = await client.call(
    'executions.get',
    { params, query: { wait: 30 } },
    { signal: context.signal },
  );
  hint(context, `again from the start: kiln pipeline retry ${ended.id} --from start`);
  return answer(context, ended, () => `${ended.id} ${ended.status}`);
}

async function decide(context: Context, approve: boolean): Promise<number> {
  const params = { id: idOf(context) };
  const [why, state] = [textFlag(context.flags, 'why') ?? '', textFlag(context.flags, 'approval')];
  const body = { approve, why, ...(state !== undefined && { state }) };
  const execution = await context
    .client()
    .call('executions.decide', { params, body }, { signal: context.signal });
  context.progress.end('done', `${execution.id}: ${approve ? 'approved' : 'rejected'}`);
  hint(context, `next: kiln pipeline show ${execution.id}`);
  return answer(context, execution, () => undefined);
}

/** Writes the default pipeline, to be changed; never over one that is there. */
async function eject(context: Context): Promise<number> {
  const directory = path.resolve(context.args[1] ?? '.');
  const { readComponent } = await import('../../component/read.ts');
  const { defaultPipeline } = await import('../../pipeline/default-pipeline.ts');
  const { PIPELINE_FILE, pipelineIn } = await import('../../pipeline/pipeline-files.ts');
  const { component, environments } = (await readComponent(directory)).definition;
  const there = await pipelineIn(directory);
  if (there !== undefined) {
    throw new KilnError('input.conflict', `${path.join(directory, there.file)} is there already.`, {
      next: 'Change it as it is, or move it away first.',
    });
  }
  const file = path.join(directory, PIPELINE_FILE);
  const text = defaultPipeline({ component, environments: Object.keys(environments) });
  await writeFile(file, text, { flag: 'wx' });
  hint(context, `next: kiln pipeline run ${context.args[1] ?? '.'}`);
  return answer(context, { file, text }, () => `wrote ${file}`);
}

function idOf({ args }: Context): string {
  const [action, id] = args;
  if (id !== undefined) return id;
  throw new KilnError('input.invalid', `kiln pipeline ${action} needs the id of an execution.`, {
    next: 'Run: kiln pipeline list',
  });
}

function whyText({ waits, status }: Execution): string {
  if (waits.length === 0) return `${status}: it goes on right now`;
  return waits.map(waitText).join('\n');
}

/** Of an approval with all that whoever decides should see. */
function waitText({ state, text, limit, evidence, releases = [] }: Execution['waits'][number]): string {
  const given = evidence === undefined ? [] : JSON.stringify(evidence, null, 2).split('\n');
  const shown = [
    ...(limit === undefined ? [] : [limit]),
    ...releases.flatMap(evidenceText),
    ...given.slice(0, EVIDENCE_LINES),
  ];
  if (given.length > EVIDENCE_LINES) shown.push('… (the whole with --json)');
  return [state === '' ? text : `${state}: ${text}`, ...shown.map((line) => `  ${line}`)].join('\n');
}

function endText({ status, output, error, cause }: Execution): string {
  const failure = [error, cause].filter((part) => part !== undefined).join(': ');
  const shown = output === undefined ? failure : JSON.stringify(output, null, 2);
  return shown === '' ? status : `${status}\n${shown}`;
}
