/** The actions of `kiln pipeline` about what starts pipelines by itself. */
import path from 'node:path';
import type { Answer } from '../../api/contract.ts';
import { KilnError } from '../../domain/errors.ts';
import { isObject } from '../../pipeline/asl/json.ts';
import { askParameters, parametersOf } from '../ask-parameters.ts';
import { answer, type Context, hint, numberFlag, textFlag } from '../context.ts';
import { serverAddress } from '../environment.ts';
import { isAddress, shortCommit } from '../names.ts';
import { hookScript, installHook } from '../post-receive-hook.ts';
import { table } from '../table.ts';
import { agoText } from '../time.ts';

type Source = Answer<'sources.list'>['items'][number];
type Happened = Answer<'sources.events'>['items'][number];

export const SOURCE_ACTIONS: Readonly<Record<string, (context: Context) => Promise<number>>> = {
  watch,
  sources: list,
  events,
  start,
  unwatch,
  hook,
};

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600 };

async function watch(context: Context): Promise<number> {
  const { flags, signal } = context;
  const given = context.args[1] ?? '.';
  const at = isAddress(given) ? given : path.resolve(given);
  const [directory, file, branch] = ['directory', 'file', 'branch'].map((name) => textFlag(flags, name));
  const poll = textFlag(flags, 'poll');
  const body = {
    at,
    parameters: parametersOf(textFlag(flags, 'parameters')),
    ...(directory !== undefined && { directory }),
    ...(file !== undefined && { file }),
    ...(branch !== undefined && { branch }),
    ...(poll !== undefined && { pollSeconds: secondsOf(poll) }),
  };
  const source = await context.client().call('sources.watch', { body }, { signal });
  const isTold = poll !== undefined || source.repository === undefined;
  if (!isTold) {
    hint(
      context,
      `nothing tells of pushes yet: kiln pipeline hook ${source.id} FOLDER installs a hook there, --poll looks now and then`,
    );
  }
  hint(context, `start it now: kiln pipeline start ${source.id}`);
  return answer(context, source, () => {
    const starts = wishes(source).join('; ') || 'nothing starts it by itself';
    return `${source.id} ${source.component}: ${starts}`;
  });
}

async function list(context: Context): Promise<number> {
  const sources = await context.client().call('sources.list', {}, { signal: context.signal });
  if (sources.items.length > 0) hint(context, 'what happened to one: kiln pipeline events SOURCE');
  return answer(context, sources, () => {
    if (sources.items.length === 0) return 'Nothing is watched yet: kiln pipeline watch REPOSITORY';
    return table(
      ['ID', 'COMPONENT', 'WHERE', 'STARTS AT', 'LAST LOOK'],
      sources.items.map((source) => [
        source.id,
        source.component,
        [source.repository ?? source.folder ?? '', source.directory].filter(Boolean).join(' '),
        wishes(source).join('; ') || '-',
        lookText(source, context.now()),
      ]),
      context.terminal.colors,
    );
  });
}

function lookText({ poll, pollSeconds }: Source, nowMs: number): string {
  if (pollSeconds === undefined) return '-';
  if (poll === undefined) return 'not yet';
  return poll.failure === undefined ? agoText(poll.atMs, nowMs) : `failed ${poll.failures}×: ${poll.failure}`;
}

/** What starts it, in words. */
function wishes({ triggers }: Source): readonly string[] {
  const { push, pullRequest, schedule, channel, base, pipeline } = triggers;
  const names = [...(push?.branches ?? []), ...(push?.tags ?? []).map((tag) => `tag ${tag}`)];
  return [
    ...(push === undefined ? [] : [`pushes to ${names.join(', ')}`]),
    ...(pullRequest === undefined ? [] : [`pull requests to ${pullRequest.branches.join(', ')}`]),
    ...schedule.map(({ cron, timeZone, nextAtMs }) => {
      const next = nextAtMs === undefined ? '' : `, next ${new Date(nextAtMs).toISOString()}`;
      return `${cron} ${timeZone}${next}`;
    }),
    ...channel.map((one) => `${one.component}@${one.channel}`),
    ...(base ? ['a new base'] : []),
    ...pipeline.map((one) => `${one.pipeline} ${one.status.join(' or ')}`),
  ];
}

async function events(context: Context): Promise<number> {
  const params = { id: await idOf(context) };
  const { flags, signal } = context;
  const cursor = textFlag(flags, 'cursor');
  const limit = numberFlag(flags, 'limit', '--limit') ?? 50;
  const query = { limit, ...(cursor !== undefined && { cursor }) };
  const page = await context.client().call('sources.events', { params, query }, { signal });
  const started = page.items.find(({ outcome }) => outcome?.kind === 'started')?.outcome?.execution;
  if (started !== undefined) hint(context, `the newest: kiln pipeline show ${started}`);
  if (page.cursor !== undefined) hint(context, `more: --cursor ${page.cursor}`);
  return answer(context, page, () => {
    if (page.items.length === 0) return 'Nothing has happened to it yet.';
    const rows = page.items.map((one) => [
      new Date(one.takenAtMs).toISOString(),
      one.kind,
      aboutText(one.event),
      outcomeText(one),
    ]);
    return table(['AT', 'WHAT', 'OF', 'CAME TO'], rows, context.terminal.colors);
  });
}

/** Which branch, commit, pull request, schedule or channel it was about. */
function aboutText(event: unknown): string {
  if (!isObject(event)) return '';
  const { number, ref, at, commit, cron, component, channel, pipeline } = event;
  const texts = [
    number === undefined ? ref : `#${String(number)}`,
    at,
    typeof commit === 'string' ? shortCommit(commit) : commit,
    cron,
    channel === undefined ? pipeline : `${String(component)}@${String(channel)}`,
  ];
  return texts
    .flatMap((text) => (typeof text === 'string' ? text.replace(/^refs\/heads\//, '') : []))
    .join(' ');
}

function outcomeText({ outcome }: Happened): string {
  if (outcome === undefined) return 'is yet to be acted on';
  if (outcome.kind === 'started') return `started ${outcome.execution}`;
  return outcome.kind === 'failed' ? `failed: ${outcome.message}` : `passed over: ${outcome.why}`;
}

async function start(context: Context): Promise<number> {
  const id = await idOf(context);
  const at = textFlag(context.flags, 'at');
  const named = at === undefined ? {} : { at };
  const parameters = await askParameters(context, { source: id, ...named });
  const call = { params: { id }, body: { parameters, ...named } };
  const taken = await context.client().call('sources.start', call, { signal: context.signal });
  hint(context, `next: kiln pipeline show ${taken.execution ?? ''}`);
  return answer(context, taken, () => taken.execution);
}

async function unwatch(context: Context): Promise<number> {
  const params = { id: await idOf(context) };
  const removed = await context.client().call('sources.remove', { params }, { signal: context.signal });
  hint(context, 'what is left: kiln pipeline sources');
  return answer(context, removed, () => `${removed.removed} is watched no more`);
}

/** Shows the hook, or installs it into a bare repository of this machine with a token of its own. */
async function hook(context: Context): Promise<number> {
  const id = await idOf(context);
  const repository = context.args[2];
  const { url } = serverAddress(context.env, context.stateDirectory);
  const script = hookScript(url, id);
  if (repository === undefined) {
    hint(
      context,
      'keep it as hooks/post-receive, and beside it kiln-token: "Authorization: Bearer TOKEN", for the pusher’s eyes only',
    );
    return answer(context, { script }, () => script.trimEnd());
  }
  const body = { name: `hook ${id}`, role: 'deployer', environments: ['hook/none'] } as const;
  const client = context.client();
  const { file } = await installHook(path.resolve(repository), script, async () => {
    const { secret } = await client.call('tokens.create', { body }, { signal: context.signal });
    if (secret !== undefined) return secret;
    throw new KilnError('internal', 'The server has made a token without its secret.');
  });
  return answer(context, { file }, () => `${file} tells Kiln of every push`);
}

/** By its id, or by its component where that has one source only. */
async function idOf(context: Context): Promise<string> {
  const [action, named] = context.args;
  if (named === undefined) {
    throw new KilnError('input.invalid', `kiln pipeline ${action} needs a source: its id or its component.`, {
      next: 'Run: kiln pipeline sources',
    });
  }
  if (named.startsWith('src-')) return named;
  const { items } = await context.client().call('sources.list', {}, { signal: context.signal });
  const meant = items.filter(({ component }) => component === named);
  const [only] = meant;
  if (only !== undefined && meant.length === 1) return only.id;
  throw await noSuchSource(named, items, meant);
}

async function noSuchSource(
  named: string,
  items: readonly Source[],
  meant: readonly Source[],
): Promise<KilnError> {
  if (meant.length > 1) {
    return new KilnError('input.invalid', `${named} has ${meant.length} sources.`, {
      next: `Name one by its id: ${meant.map(({ id }) => id).join(', ')}`,
    });
  }
  const { suggest } = await import('../../component/suggest.ts');
  const near = suggest(
    named,
    items.map(({ component }) => component),
  );
  return new KilnError('not-found', `There is no source ${named}.`, {
    next:
      near === undefined ? 'Run: kiln pipeline sources' : `Did you mean ${near}? Run: kiln pipeline sources`,
  });
}

function secondsOf(text: string): number {
  const [, amount, unit = 's'] = /^(\d{1,5})([smh])?$/.exec(text) ?? [];
  const seconds = Number(amount) * (UNIT_SECONDS[unit] ?? Number.NaN);
  if (seconds >= 1 && seconds <= 86_400) return seconds;
  throw new KilnError('input.invalid', `"${text}" is no interval for --poll.`, {
    next: 'Give one such as 30s, 5m or 1h.',
  });
}
