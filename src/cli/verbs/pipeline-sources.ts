/** The actions of `kiln pipeline` about what starts pipelines by itself. */
import path from 'node:path';
import type { Answer } from '../../api/contract.ts';
import { KilnError } from '../../domain/errors.ts';
import { answer, type Context, hint, textFlag } from '../context.ts';
import { serverAddress } from '../environment.ts';
import { hookScript, installHook } from '../post-receive-hook.ts';
import { table } from '../table.ts';
import { agoText } from '../time.ts';
import { parametersOf } from './pipeline-executions.ts';

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
  // What looks like an address is one; anything else is a folder of this machine.
  const at = /^[a-z]+:\/\/|^[\w.-]+@[\w.-]+:/.test(given) ? given : path.resolve(given);
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
  return answer(context, source, () => `${source.id} ${source.component}: ${wishes(source).join('; ')}`);
}

async function list(context: Context): Promise<number> {
  const sources = await context.client().call('sources.list', {}, { signal: context.signal });
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
  const params = { id: idOf(context) };
  const page = await context
    .client()
    .call('sources.events', { params, query: { limit: 50 } }, { signal: context.signal });
  return answer(context, page, () => {
    if (page.items.length === 0) return 'Nothing has happened to it yet.';
    return page.items
      .map((one) => `${new Date(one.takenAtMs).toISOString()}  ${one.kind.padEnd(15)} ${outcomeText(one)}`)
      .join('\n');
  });
}

function outcomeText({ outcome }: Happened): string {
  if (outcome === undefined) return 'is yet to be acted on';
  if (outcome.kind === 'started') return `started ${outcome.execution}`;
  return outcome.kind === 'failed' ? `failed: ${outcome.message}` : `passed over: ${outcome.why}`;
}

async function start(context: Context): Promise<number> {
  const params = { id: idOf(context) };
  const at = textFlag(context.flags, 'at');
  const parameters = parametersOf(textFlag(context.flags, 'parameters'));
  const body = { parameters, ...(at !== undefined && { at }) };
  const taken = await context.client().call('sources.start', { params, body }, { signal: context.signal });
  hint(context, `next: kiln pipeline show ${taken.execution ?? ''}`);
  return answer(context, taken, () => taken.execution);
}

async function unwatch(context: Context): Promise<number> {
  const params = { id: idOf(context) };
  const removed = await context.client().call('sources.remove', { params }, { signal: context.signal });
  return answer(context, removed, () => `${removed.removed} is watched no more`);
}

/** Shows the hook, or installs it into a bare repository of this machine with a token of its own. */
async function hook(context: Context): Promise<number> {
  const id = idOf(context);
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

function idOf({ args }: Context): string {
  const [action, id] = args;
  if (id !== undefined) return id;
  throw new KilnError('input.invalid', `kiln pipeline ${action} needs the id of a source.`, {
    next: 'Run: kiln pipeline sources',
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
