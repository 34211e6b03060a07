import { channelName, componentName } from '../../domain/ids.ts';
import { answer, type Context, hint, isSet, textFlag } from '../context.ts';
import { table } from '../table.ts';
import { agoText } from '../time.ts';

export async function run(context: Context): Promise<number> {
  const [reference = '', channelText = ''] = context.args;
  const channel = channelName(channelText);
  const client = context.client();
  const { signal, flags, progress } = context;
  if (isSet(flags, 'history')) return history(context, reference, channelText);
  const image = await client.call('images.get', { params: { reference } }, { signal });
  const expected = textFlag(flags, 'expected');
  const why = textFlag(flags, 'why');
  const { component } = image;
  const body = {
    image: image.id,
    ...(expected === undefined ? {} : { expected }),
    ...(why === undefined ? {} : { why }),
  };
  const promotion = await client.call(
    'channels.promote',
    { params: { component, channel }, body },
    { signal },
  );
  const name = `${component}@${image.version}`;
  if (promotion.moved) progress.end('done', `${component}:${channel} now holds ${name}`);
  else progress.end('same', `${component}:${channel} holds ${name} already`);
  hint(context, `next: kiln deploy ${component} live/local --image ${component}:${channel}`);
  return answer(context, promotion, () => undefined);
}

async function history(context: Context, component: string, channel: string): Promise<number> {
  const params = { component: componentName(component), channel: channelName(channel) };
  const found = await context.client().call('channels.history', { params }, { signal: context.signal });
  return answer(context, found, () =>
    table(
      ['IMAGE', 'WHEN', 'BY', 'WHY'],
      found.items.map((move) => [
        `${move.component}@${move.version}`,
        agoText(move.atMs, context.now()),
        move.by,
        move.why,
      ]),
      context.terminal.colors,
    ),
  );
}
