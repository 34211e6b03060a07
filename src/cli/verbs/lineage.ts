import type { Answer } from '../../api/contract.ts';
import { answer, type Context } from '../context.ts';

type Lineage = Answer<'images.lineage'>;

export async function run(context: Context): Promise<number> {
  const [reference = ''] = context.args;
  const lineage = await context
    .client()
    .call('images.lineage', { params: { reference } }, { signal: context.signal });
  return answer(context, lineage, () => tree(context, lineage));
}

/** The oldest ancestor first, each a step further in. */
function tree(context: Context, { ancestors, image, descendants, cut }: Lineage): string {
  const above = ancestors.toReversed();
  const line = (one: Lineage['image'], depth: number): string => '  '.repeat(depth) + named(context, one);
  return [
    ...above.map(line),
    context.terminal.colors.bold(line(image, above.length)),
    ...descendants.map((one) => line(one.image, above.length + one.depth)),
    ...(cut ? ['…and more'] : []),
  ].join('\n');
}

function named({ terminal: { colors } }: Context, one: Lineage['image']): string {
  const held = one.channels.length === 0 ? '' : ` (${one.channels.join(', ')})`;
  const from = one.base === undefined ? '' : colors.dim(` from ${one.base}`);
  return `${one.component}@${one.version}${held}${from}${stateOf(one, colors)}`;
}

function stateOf(one: Lineage['image'], colors: Context['terminal']['colors']): string {
  if (one.revoked) return colors.red(' revoked');
  if (!one.outdated) return '';
  return colors.yellow(one.follows ? ' outdated, follows by itself' : ' outdated');
}
