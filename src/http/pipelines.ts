import type { Answer } from '../api/contract.ts';
import { KilnError } from '../domain/errors.ts';
import { executionFacts } from '../domain/execution-facts.ts';
import { environmentName } from '../domain/ids.ts';
import type { ExecutionSummary } from '../domain/ports/execution-history.ts';
import type { ExecutionRecord } from '../domain/ports/executions.ts';
import type { Shown } from '../pipeline/pipelines.ts';
import { assertRole } from './auth.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { starterOf } from './starter.ts';
import { present } from './views.ts';

export function servePipelines(operations: Operations, { pipelines, singleTasks, store }: HttpParts): void {
  const view = async (id: string) => executionView(await pipelines.show(id));

  operations.json('pipelines.parameters', async ({ query }) => {
    const { component, parameters } = await pipelines.parameters(query.directory);
    const items = parameters.map(({ name, type, allowed, ...more }) => ({
      name,
      type,
      ...present({ description: more.description, default: more.default }),
      ...(allowed && { allowed: [...allowed] }),
    }));
    return { component, items };
  });

  operations.begins('executions.start', {
    async begin({ body }, caller) {
      const { file, input, group, priority, ...rest } = body;
      const wish = { ...rest, ...present({ file, input, group, priority }), trigger: 'api' };
      return view((await pipelines.start(wish, starterOf(caller))).id);
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
      const mayDecide = ({ role = 'deployer', environment }: Shown['waits'][number]): void => {
        assertRole(caller.actor, role);
        if (environment !== undefined) caller.assertMayChange(environmentName(environment));
      };
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
  const shown = waits.map(({ task: _, ...waiting }) => waiting);
  return { ...recordView(record), input: record.input, ...end, waits: shown };
}
