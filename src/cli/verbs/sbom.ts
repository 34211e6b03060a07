import { answer, type Context } from '../context.ts';

export async function run(context: Context): Promise<number> {
  const [reference = ''] = context.args;
  const sbom = await context
    .client()
    .call('images.sbom', { params: { reference } }, { signal: context.signal });
  return answer(context, sbom, () => JSON.stringify(sbom, null, 2));
}
