import { answer, type Context, hint } from '../context.ts';
import { environmentPath, placeOf } from '../names.ts';

export async function run(context: Context): Promise<number> {
  const place = placeOf(context.args);
  const { signal } = context;
  const service = await context
    .client()
    .call('services.stop', { params: environmentPath(place) }, { signal });
  hint(context, `to start it again: kiln deploy ${place.component} ${place.environment}`);
  return answer(context, service, () => `${place.component} in ${place.environment} is stopping`);
}
