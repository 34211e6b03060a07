import { answer, type Context, hint } from '../context.ts';

export async function run(context: Context): Promise<number> {
  const [id = ''] = context.args;
  const cancelled = await context
    .client()
    .call('deployments.cancel', { params: { id } }, { signal: context.signal });
  hint(context, `it goes back to what served before: kiln status ${cancelled.component}`);
  return answer(
    context,
    cancelled,
    () => `deployment ${id} of ${cancelled.component} in ${cancelled.environment} is asked to go back`,
  );
}
