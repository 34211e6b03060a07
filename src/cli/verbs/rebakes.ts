import type { Answer } from '../../api/contract.ts';
import { KilnError } from '../../domain/errors.ts';
import { answer, type Context, hint } from '../context.ts';
import { table } from '../table.ts';

type Rebake = Answer<'rebakes.list'>['items'][number];

export async function run(context: Context): Promise<number> {
  const [action, reference] = context.args;
  if (action === 'retry' && reference !== undefined) return retry(context, reference);
  if (action !== undefined) {
    throw new KilnError('input.invalid', `There is no "kiln rebakes ${action}".`, {
      next: 'Run: kiln rebakes, or kiln rebakes retry IMAGE',
    });
  }
  const found = await context.client().call('rebakes.list', {}, { signal: context.signal });
  if (found.items.length === 0) hint(context, 'every image that follows its base is on the newest one');
  return answer(context, found, () => (found.items.length === 0 ? undefined : list(context, found.items)));
}

async function retry(context: Context, reference: string): Promise<number> {
  const { progress, signal } = context;
  const answered = await context.client().call('rebakes.retry', { params: { reference } }, { signal });
  if (answered.retried) progress.end('done', `${reference} is tried again`);
  else progress.end('same', `${reference} had not failed`);
  return answer(context, answered, () => undefined);
}

function list({ terminal: { colors } }: Context, items: readonly Rebake[]): string {
  return table(
    ['IMAGE', 'BASE', 'STATE', 'NEW IMAGE', 'WHY'],
    items.map((item) => [
      `${item.image.component}@${item.image.version}`,
      item.onto === undefined ? item.base : `${item.base} (${item.onto.version})`,
      item.state === 'failed' ? colors.red('failed') : `${item.state}${item.running ? '…' : ''}`,
      item.made?.version ?? '-',
      whyText(item),
    ]),
    colors,
  );
}

function whyText({ why, next, unmet = [] }: Rebake): string {
  const demands = unmet.filter((one) => one.demands.length > 0);
  const all = demands.map(({ channel, demands }) => `${channel}: ${demands.join('; ')}`).join('. ');
  return [why ?? all, next].flatMap((text) => text?.replace(/\.$/, '') || []).join('. ');
}
