import { type ChannelName, type ComponentName, channelName, componentName } from '../../domain/ids.ts';
import { answer, type Context, hint, isSet, textFlag } from '../context.ts';
import { readPolicy } from '../policy-text.ts';
import { table } from '../table.ts';
import { agoText } from '../time.ts';

export async function run(context: Context): Promise<number> {
  const [reference = '', channelText = ''] = context.args;
  const channel = channelName(channelText);
  const client = context.client();
  const { signal, flags, progress } = context;
  if (isSet(flags, 'history')) return history(context, reference, channelText);
  if (isSet(flags, 'back')) return back(context, reference, channel);
  const policy = flags.policy;
  if (policy !== undefined) return policyOf(context, componentName(reference), channel, policy);
  if (isSet(flags, 'approve')) return approve(context, reference, channel);
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

async function back(context: Context, component: string, channel: ChannelName): Promise<number> {
  const { signal, flags, progress } = context;
  const [expected, why] = [textFlag(flags, 'expected'), textFlag(flags, 'why')];
  const params = { component: componentName(component), channel };
  const body = { ...(expected === undefined ? {} : { expected }), ...(why === undefined ? {} : { why }) };
  const found = await context.client().call('channels.back', { params, body }, { signal });
  progress.end('done', `${component}:${channel} holds ${component}@${found.move.version} again`);
  return answer(context, found, () => undefined);
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

/** Shows it, or first sets it where the flag has a text. */
async function policyOf(
  context: Context,
  component: ComponentName,
  channel: ChannelName,
  text: unknown,
): Promise<number> {
  const { signal } = context;
  const params = { component, channel };
  const client = context.client();
  const found =
    typeof text === 'string'
      ? await client.call('channels.setPolicy', { params, body: readPolicy(text) }, { signal })
      : await client.call('channels.policy', { params }, { signal });
  return answer(context, found, () =>
    [
      `${component}:${channel} demands`,
      `  checks     ${found.checks.join(', ') || 'that the latest checks passed'}`,
      `  approvals  ${found.approvals}`,
      ...(found.after === undefined
        ? []
        : [`  earlier    ${found.after.channel} held it for ${found.after.heldMs / 60_000} minutes`]),
    ].join('\n'),
  );
}

async function approve(context: Context, reference: string, channel: ChannelName): Promise<number> {
  const { signal, flags, progress } = context;
  const client = context.client();
  const { id, component, version } = await client.call('images.get', { params: { reference } }, { signal });
  const body = { image: id, why: textFlag(flags, 'why') ?? 'approved' };
  const found = await client.call('channels.approve', { params: { component, channel }, body }, { signal });
  progress.end(
    'done',
    `${component}@${version} is approved for ${channel}, ${found.approvals.length} in all`,
  );
  return answer(context, found, () => undefined);
}
