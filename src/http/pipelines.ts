import type { Answer, Input } from '../api/contract.ts';
import { KilnError } from '../domain/errors.ts';
import { executionFacts } from '../domain/execution-facts.ts';
import type { ExecutionSummary } from '../domain/ports/execution-history.ts';
import type { ExecutionRecord } from '../domain/ports/executions.ts';
import type { PipelineParameter } from '../pipeline/definition/parameters.ts';
import type { Shown } from '../pipeline/pipelines.ts';
import type { Asked } from '../pipeline/triggers/asked-starts.ts';
import type { Waits } from '../pipeline/why.ts';
import { assertMayDecide } from './may-decide.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { starterOf } from './starter.ts';
import { present } from './views.ts';

export function servePipelines(
  operations: Operations,
  { pipelines, askedStarts, sources, singleTasks, store }: HttpParts,
): void {
  const view = async (id: string) => executionView(await pipelines.show(id));

  const asked = (query: Input<'pipelines.parameters'>['query'], signal: AbortSignal): Promise<Asked> => {
    const { source, repository, directory = '', at, file } = query;
    const place = present({ at, directory, file });
    if (source !== undefined) return sources.get(source).then((one) => askedStarts.ofSource(one, at, signal));
    if (repository !== undefined) return askedStarts.ofRepository({ repository, ...place }, signal);
    return pipelines.parameters(directory, file);
  };

  operations.json('pipelines.parameters', async ({ query }, { signal }) => {
    const { component, parameters } = await asked(query, signal);
    return { component, items: parameters.map(parameterView) };
  });

  operations.begins('executions.start', {
    async begin({ body }, caller) {
      const { directory = '', repository, at, file, input, group, priority, ...rest } = body;
      const wish = { ...rest, ...present({ input, group, priority }), trigger: 'api' };
      const starter = starterOf(caller);
      if (repository === undefined)
        return view((await pipelines.start({ ...wish, directory, ...present({ file }) }, starter)).id);
      const place = { repository, ...present({ at, directory, file }) };
      return view((await askedStarts.start(place, wish, starter, caller.signal)).id);
    },
    recover: view,
    ended: hasEnded,
    wait: async ({ id }, timeoutMs, signal) => view((await pipelines.wait(id, timeoutMs, signal)).id),
  });

  operations.json('executions.runTask', async ({ body: { task, input = null, key } }, caller) =>
    view((await singleTasks.run({ task, input, key }, starterOf(caller))).id),
  );

  operations.json('executions.list', async ({ query }) => {
    const { open, limit, cursor, status: statuses, from: fromMs, before: beforeMs, ...same } = query;
    const found = present({ ...same, statuses, fromMs, beforeMs });
    const search = { ...found, ...(open !== undefined && { open: open === 'true' }) };
    const page = await store.executionHistory.search(search, { limit, ...present({ cursor }) });
    return { ...page, items: page.items.map(summaryView) };
  });

  operations.json('executions.get', async ({ params, query }, { signal }) => {
    if (query.wait > 0) await pipelines.wait(params.id, query.wait * 1000, signal);
    return view(params.id);
  });

  operations.json('executions.history', async ({ params }) => ({
    items: await pipelines.history(params.id),
  }));

  operations.json(
    'executions.cancel',
    async ({ params }, caller) => {
      if (await pipelines.cancel(params.id, starterOf(caller))) return view(params.id);
      throw new KilnError('input.conflict', `Execution ${params.id} has ended already.`, {
        next: `See how: kiln pipeline show ${params.id}`,
      });
    },
    { recover: async (_made, { params }) => view(params.id) },
  );

  operations.begins('executions.retry', {
    begin: async ({ params, body }, caller) =>
      view((await pipelines.again(params.id, body.from, starterOf(caller))).id),
    recover: view,
    ended: hasEnded,
    wait: async ({ id }, timeoutMs, signal) => view((await pipelines.wait(id, timeoutMs, signal)).id),
  });

  operations.json(
    'executions.decide',
    async ({ params, body }, caller) => {
      const { approve, why, state } = body;
      const mayDecide = (waits: Waits): void => assertMayDecide(caller.actor, waits);
      await pipelines.decide(
        params.id,
        { approve, why, ...present({ state }) },
        mayDecide,
        starterOf(caller),
      );
      return view(params.id);
    },
    { recover: async (_made, { params }) => view(params.id) },
  );
}

function parameterView({
  name,
  type,
  allowed,
  ...more
}: PipelineParameter): Answer<'pipelines.parameters'>['items'][number] {
  const { description, default: byDefault } = more;
  const shown = { name, type, ...present({ description, default: byDefault }) };
  return { ...shown, ...(allowed && { allowed: [...allowed] }) };
}

function hasEnded({ endedAtMs }: Answer<'executions.get'>): boolean {
  return endedAtMs !== undefined;
}

export function summaryView({
  sequence,
  ...summary
}: ExecutionSummary): Answer<'executions.list'>['items'][number] {
  return { ...summary, events: sequence };
}

function recordView(record: ExecutionRecord): Answer<'executions.list'>['items'][number] {
  const { id, pipeline, status, createdAtMs, createdBy, endedAtMs, sequence, group, after } = record;
  const { trigger, commit } = executionFacts([], record.input);
  const shown = { id, pipeline, status, createdAtMs, createdBy, events: sequence };
  return { ...shown, ...present({ endedAtMs, group, after, trigger, commit }) };
}

function executionView({ record, waits, ...end }: Shown): Answer<'executions.get'> {
  const shown = waits.map(({ task: _, images: __, ...waiting }) => waiting);
  return { ...recordView(record), input: record.input, ...end, waits: shown };
}
