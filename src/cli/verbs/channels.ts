import path from 'node:path';
import type { Answer } from '../../api/contract.ts';
import { KilnError } from '../../domain/errors.ts';
import { channelName, componentName } from '../../domain/ids.ts';
import { answer, type Context, hint, isSet } from '../context.ts';
import { demandsText, loosened } from '../policy-text.ts';
import { table } from '../table.ts';
import { agoText } from '../time.ts';

type Move = Answer<'channels.list'>['items'][number];
type Standing = Answer<'images.channels'>;

export async function run(context: Context): Promise<number> {
  const [what, directory] = context.args;
  if (what === 'apply') return apply(context, path.resolve(directory ?? '.'));
  if (what !== undefined && /[@:]|^image-/.test(what)) return standing(context, what);
  return list(context, what);
}

async function list(context: Context, component: string | undefined): Promise<number> {
  const query = component === undefined ? {} : { component: componentName(component) };
  const found = await context.client().call('channels.list', { query }, { signal: context.signal });
  if (found.items.length === 0) hint(context, 'no channel holds anything yet: kiln promote IMAGE CHANNEL');
  return answer(context, found, () =>
    found.items.length === 0
      ? undefined
      : table(
          ['CHANNEL', 'HOLDS', 'SINCE', 'BY', 'WHY'],
          found.items.map((move) => [
            `${move.component}:${move.channel}`,
            held(move, context),
            agoText(move.atMs, context.now()),
            move.by,
            move.why,
          ]),
          context.terminal.colors,
        ),
  );
}

function held({ component, version, revoked }: Move, { terminal: { colors } }: Context): string {
  return `${component}@${version}${revoked === undefined ? '' : colors.red(` (revoked: ${revoked.why})`)}`;
}

/** Where an image stands: what each channel demands, and what it lacks. */
async function standing(context: Context, reference: string): Promise<number> {
  const { signal, terminal } = context;
  const found = await context.client().call('images.channels', { params: { reference } }, { signal });
  if (found.channels.length === 0) hint(context, `to move one to it: kiln promote ${reference} CHANNEL`);
  return answer(context, found, () =>
    found.channels.length === 0
      ? `${found.image.component} has no channel: none holds an image of it, and nothing demands anything of one.`
      : table(
          ['CHANNEL', 'SERVER DEMANDS', 'KILN.YAML DEMANDS', 'IT LACKS'],
          found.channels.map((one) => [
            one.channel,
            demandsText(one.policy),
            demandsText(one.own),
            lacking(one, found, terminal.colors),
          ]),
          terminal.colors,
        ),
  );
}

function lacking(
  { holds, missing }: Standing['channels'][number],
  { image }: Standing,
  colors: Context['terminal']['colors'],
): string {
  if (holds === image.id) return colors.green('nothing: it is there');
  return missing.length === 0 ? colors.green('nothing') : colors.yellow(missing.join('; '));
}

/** What the file demands becomes what the server demands; other channels stay as they are. */
async function apply(context: Context, directory: string): Promise<number> {
  const { readComponent } = await import('../../component/read.ts');
  const { component, channels = {} } = (await readComponent(directory)).definition;
  const client = context.client();
  const { signal, progress } = context;
  const changes: { channel: string; from: string; to: string }[] = [];
  for (const [name, policy] of Object.entries(channels)) {
    const params = { component, channel: channelName(name) };
    const before = await client.call('channels.policy', { params }, { signal });
    const [from, to] = [demandsText(before), demandsText(policy)];
    if (from === to) continue;
    const less = loosened(before, policy);
    if (less.length > 0 && !isSet(context.flags, 'loosen')) throw wouldLoosen(`${component}:${name}`, less);
    changes.push({ channel: name, from, to });
    if (!isSet(context.flags, 'dryRun'))
      await client.call('channels.setPolicy', { params, body: policy }, { signal });
  }
  if (changes.length === 0) progress.end('same', `the server demands what ${component} says already`);
  return answer(context, { component, changes }, () =>
    changes.length === 0
      ? undefined
      : table(
          ['CHANNEL', 'DEMANDED', 'DEMANDS NOW'],
          changes.map(({ channel, from, to }) => [`${component}:${channel}`, from, to]),
          context.terminal.colors,
        ),
  );
}

function wouldLoosen(channel: string, less: readonly string[]): KilnError {
  return new KilnError('input.conflict', `${channel} would no longer demand: ${less.join(', ')}.`, {
    next: 'Add that to the file, or say --loosen.',
  });
}
