import { EXIT } from '../../api/failures.ts';
import { type Context, isSet, numberFlag } from '../context.ts';
import { environmentPath, placeOf } from '../names.ts';

export async function run(context: Context): Promise<number> {
  const params = environmentPath(placeOf(context.args));
  const query = {
    tail: numberFlag(context.flags, 'tail', '--tail') ?? 100,
    follow: isSet(context.flags, 'follow') ? ('true' as const) : ('false' as const),
  };
  const { terminal, json, signal } = context;
  context.onInterrupt(() => 'no longer following');
  for await (const line of context.client().lines('services.logs', { params, query }, { signal }))
    terminal.out(json ? JSON.stringify(line) : `${terminal.colors.dim(line.instance)}  ${line.text}`);
  return EXIT.ok;
}
