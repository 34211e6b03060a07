/** `kiln images verify` and `kiln images diff`. */
import type { Answer } from '../api/contract.ts';
import { EXIT } from '../api/failures.ts';
import { sizeText } from '../domain/size-text.ts';
import { answer, type Context } from './context.ts';

type Verified = Answer<'images.verify'>;
type Difference = Answer<'images.diff'>['tags'][number];

const IMAGES_AT_A_TIME = 20;

/** Exit code 1 when anything is damaged or missing. */
export async function verify(context: Context, query: string | undefined): Promise<number> {
  const faults: Verified['faults'][number][] = [];
  let images = 0;
  let cursor: string | undefined;
  do {
    const body = {
      limit: IMAGES_AT_A_TIME,
      ...(query === undefined ? {} : { query }),
      ...(cursor === undefined ? {} : { cursor }),
    };
    const page = await context.client().call('images.verify', { body }, { signal: context.signal });
    images += page.images;
    faults.push(...page.faults);
    cursor = page.cursor;
  } while (cursor !== undefined);
  const text = () =>
    faults.length === 0
      ? `All blobs of ${images} images are whole.`
      : faults.map((one) => `${one.component}@${one.version}  ${one.code}  ${one.digest}`).join('\n');
  const code = answer(context, { images, faults }, text);
  return faults.length === 0 ? code : EXIT.negative;
}

export async function diff(context: Context, reference: string, other: string): Promise<number> {
  const found = await context
    .client()
    .call('images.diff', { params: { reference }, query: { with: other } }, { signal: context.signal });
  return answer(context, found, () =>
    [
      `${found.from.component}@${found.from.version} → ${found.to.component}@${found.to.version}`,
      `  size      ${sizeText(found.sizeBytes.from)} → ${sizeText(found.sizeBytes.to)}`,
      ...found.tags.map((one) => `  tag       ${changed(one)}`),
      ...(found.packages ?? []).map((one) => `  package   ${changed(one)}`),
      ...(found.files?.items ?? []).map((one) => `  file      ${one.change.padEnd(8)} ${one.path}`),
      ...(found.files !== undefined && found.files.count > found.files.items.length
        ? [`  …and ${found.files.count - found.files.items.length} more files`]
        : []),
    ].join('\n'),
  );
}

function changed({ key, from, to }: Difference): string {
  return `${key}: ${from ?? '(none)'} → ${to ?? '(none)'}`;
}
