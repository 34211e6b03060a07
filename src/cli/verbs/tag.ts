import { answer, type Context } from '../context.ts';
import { readTagChanges } from '../tags.ts';

export async function run(context: Context): Promise<number> {
  const [reference = '', ...texts] = context.args;
  const tags = readTagChanges(texts);
  const { signal, progress } = context;
  const call = { params: { reference }, body: { tags } };
  const image = await context.client().call('images.tag', call, { signal });
  progress.end('done', `${image.component}@${image.version} is tagged`);
  return answer(context, image, () =>
    Object.entries(image.tags)
      .map(([key, value]) => `${key}=${value}`)
      .join('\n'),
  );
}
