/** The actions of `kiln pipeline` that hold pipelines back from an environment. */

import { KilnError } from '../../domain/errors.ts';
import { environmentName, isEnvironmentName } from '../../domain/ids.ts';
import { answer, type Context, hint, textFlag } from '../context.ts';
import { table } from '../table.ts';
import { agoText } from '../time.ts';

export const PAUSE_ACTIONS: Readonly<Record<string, (context: Context) => Promise<number>>> = {
  pause,
  resume,
  paused,
};

async function pause(context: Context): Promise<number> {
  const params = environmentOf(context);
  const why = textFlag(context.flags, 'why') ?? '';
  const made = await context
    .client()
    .call('pauses.pause', { params, body: { why } }, { signal: context.signal });
  hint(context, `let them go on: kiln pipeline resume ${made.environment}`);
  return answer(context, made, () => `pipelines wait before they deploy to ${made.environment}`);
}

async function resume(context: Context): Promise<number> {
  const params = environmentOf(context);
  const made = await context.client().call('pauses.resume', { params }, { signal: context.signal });
  const name = `${params.level}/${params.region}`;
  return answer(context, made, () =>
    made.resumed ? `pipelines deploy to ${name} again` : `${name} was not paused`,
  );
}

async function paused(context: Context): Promise<number> {
  const page = await context.client().call('pauses.list', {}, { signal: context.signal });
  const { items } = page;
  if (items.length > 0) hint(context, 'let pipelines go on: kiln pipeline resume ENVIRONMENT');
  return answer(context, page, () => {
    if (items.length === 0) return 'No environment is paused.';
    const rows = items.map(({ environment, by, why, sinceMs }) => [
      environment,
      by,
      agoText(sinceMs, context.now()),
      why,
    ]);
    return table(['ENVIRONMENT', 'BY', 'SINCE', 'WHY'], rows, context.terminal.colors);
  });
}

function environmentOf({ args }: Context): { readonly level: string; readonly region: string } {
  const [action, name = ''] = args;
  if (isEnvironmentName(name)) {
    const [level = '', region = ''] = environmentName(name).split('/');
    return { level, region };
  }
  throw new KilnError('input.invalid', `kiln pipeline ${action} needs an environment, not "${name}".`, {
    next: 'Write it as level/region, such as live/uk.',
  });
}
