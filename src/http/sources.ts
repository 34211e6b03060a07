import type { Answer } from '../api/contract.ts';
import type { CallAttempt } from '../domain/change.ts';
import type { TakenEvent } from '../domain/ports/triggers.ts';
import type { PipelineSource } from '../domain/trigger.ts';
import { parseCron } from '../pipeline/triggers/cron.ts';
import { nextTime } from '../pipeline/triggers/next-time.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';

type SourceView = Answer<'sources.watch'>;

export function serveSources(
  operations: Operations,
  { sources, askedStarts, poller, store, clock, randomBytes }: HttpParts,
): void {
  const view = (source: PipelineSource): SourceView => sourceView(source, poller, clock.now());
  const change = (actor: string, attempt: CallAttempt | undefined) => ({
    actor,
    atMs: clock.now(),
    ...present({ attempt }),
  });

  operations.json(
    'sources.watch',
    async ({ body }, { actor, attempt, signal }) => {
      const { name, role, environments } = actor;
      const { at, parameters, directory, file, branch, pollSeconds } = body;
      const pollEveryMs = pollSeconds === undefined ? undefined : pollSeconds * 1_000;
      const wish = { at, parameters, ...present({ directory, file, branch, pollEveryMs }) };
      const owner = { actor: name, role, environments };
      return view(await sources.watch(wish, owner, change(name, attempt), signal));
    },
    { recover: async (made) => view(await sources.get(made)) },
  );

  operations.json('sources.list', async () => ({ items: (await store.triggers.sources()).map(view) }));

  operations.json(
    'sources.remove',
    async ({ params }, { actor, attempt }) => {
      await sources.remove(params.id, change(actor.name, attempt));
      return { removed: params.id };
    },
    { recover: async (made) => ({ removed: made }) },
  );

  operations.json('sources.events', async ({ params, query }) => {
    await sources.get(params.id);
    const { limit, cursor } = query;
    const page = await store.triggers.list({ source: params.id }, { limit, ...present({ cursor }) });
    return { ...page, items: page.items.map(eventView) };
  });

  operations.json('sources.start', async ({ params, body }, { actor, attempt, signal }) => {
    // Told now, and not by an event that started nothing.
    await askedStarts.check(await sources.get(params.id), body.at, body.parameters, signal);
    const delivery = attempt?.key ?? Buffer.from(randomBytes(16)).toString('hex');
    const { at, parameters } = body;
    const wish = {
      kind: 'api' as const,
      delivery: `${actor.name}/${delivery}`,
      parameters,
      ...present({ at }),
    };
    const { execution } = await sources.ask(params.id, wish, actor.name);
    return { execution };
  });

  operations.json('sources.pushed', async ({ params, body }, { actor }) => {
    const sender = body.sender ?? actor.name;
    const items = await sources.pushed(params.id, body.moves, sender, actor.name);
    return { items: items.map(({ execution }) => ({ ...present({ execution }) })) };
  });
}

function sourceView(
  { id, component, location, directory, branch, triggers, pollEveryMs, owner, createdAtMs }: PipelineSource,
  poller: HttpParts['poller'],
  nowMs: number,
): SourceView {
  const isRepository = location.kind === 'repository';
  const poll = isRepository ? poller.stateOf(location.url) : undefined;
  const { push, pullRequest, ...rest } = triggers;
  return {
    id,
    component,
    ...(isRepository ? { repository: location.url } : { folder: location.path }),
    directory,
    branch,
    triggers: {
      onOpen: rest.onOpen,
      base: rest.base,
      channel: [...rest.channel],
      pipeline: rest.pipeline.map(({ pipeline, status }) => ({ pipeline, status: [...status] })),
      schedule: rest.schedule.map((schedule) => {
        const nextAtMs = nextTime(parseCron(schedule.cron), schedule.timeZone, nowMs);
        return { ...schedule, ...present({ nextAtMs }) };
      }),
      ...(push && { push: { branches: [...push.branches], tags: [...push.tags], ...pathsOf(push.paths) } }),
      ...(pullRequest && {
        pullRequest: {
          branches: [...pullRequest.branches],
          forks: pullRequest.forks,
          ...pathsOf(pullRequest.paths),
        },
      }),
    },
    ...(pollEveryMs !== undefined && { pollSeconds: pollEveryMs / 1_000 }),
    ...(poll && {
      poll: { atMs: poll.atMs, failures: poll.failures, ...present({ failure: poll.failure }) },
    }),
    createdBy: owner.actor,
    createdAtMs,
  };
}

function pathsOf(paths: readonly string[] | undefined) {
  return paths === undefined ? {} : { paths: [...paths] };
}

function eventView({ number, event, takenAtMs, outcome }: TakenEvent) {
  return { number, kind: event.kind, event, takenAtMs, ...(outcome && { outcome: { ...outcome } }) };
}
