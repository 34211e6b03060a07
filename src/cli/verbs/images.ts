import type { Answer } from '../../api/contract.ts';
import { EXIT } from '../../api/failures.ts';
import { KilnError } from '../../domain/errors.ts';
import { sizeText } from '../../domain/size-text.ts';
import { answer, type Context, hint, numberFlag, textFlag } from '../context.ts';
import { formatted } from '../format.ts';
import { diff, verify } from '../image-insides.ts';
import { table } from '../table.ts';
import { agoText } from '../time.ts';

type Image = Answer<'images.get'>;

export async function run(context: Context): Promise<number> {
  const client = context.client();
  const { signal, flags } = context;
  const reference = textFlag(flags, 'image');
  if (reference !== undefined) {
    const image = await client.call('images.get', { params: { reference } }, { signal });
    return answer(context, image, () => detail(context, image));
  }
  const [asked, first, second] = context.args;
  if (asked === 'verify') return verify(context, first);
  if (asked === 'diff' && first !== undefined && second !== undefined) return diff(context, first, second);
  const cursor = textFlag(flags, 'cursor');
  const format = textFlag(flags, 'format');
  const query = {
    limit: numberFlag(flags, 'limit', '--limit') ?? 20,
    ...(asked === undefined ? {} : { query: asked }),
    ...(cursor === undefined ? {} : { cursor }),
  };
  const page = await client.call('images.list', { query }, { signal });
  if (format !== undefined) {
    if (page.items.length === 0) throw noneFound(asked);
    refuseRevoked(page.items, asked, format);
    for (const image of page.items) context.terminal.out(formatted(format, image));
    return EXIT.ok;
  }
  if (page.items.length === 0)
    hint(context, asked === undefined ? 'no images yet: kiln bake DIR' : 'no image fits');
  if (page.cursor !== undefined) hint(context, `more: --cursor ${page.cursor}`);
  return answer(context, page, () => (page.items.length === 0 ? undefined : list(context, page.items)));
}

/** A script that asks for a digest must not go on with nothing. */
function noneFound(asked: string | undefined): KilnError {
  return new KilnError(
    'not-found',
    asked === undefined ? 'There are no images.' : `No image fits "${asked}".`,
    {
      next: 'Ask for less, or bake and promote one.',
    },
  );
}

/** Nor with what was revoked, unless the script says that it knows of that. */
function refuseRevoked(images: readonly Image[], asked: string | undefined, format: string): void {
  if (/(^|\s)revoked!?=/.test(asked ?? '') || /\{\{\s*revoked\s*\}\}/.test(format)) return;
  const image = images.find(({ revoked }) => revoked !== undefined);
  if (image === undefined) return;
  const name = `${image.component}@${image.version}`;
  throw new KilnError('image.unfit', `${name} fits, and was revoked: ${image.revoked?.why}`, {
    next: 'Promote another image, or say revoked=false or revoked=true in the query.',
    details: { image: image.id },
  });
}

function list(context: Context, images: readonly Image[]): string {
  const { colors } = context.terminal;
  return table(
    ['IMAGE', 'CHECKS', 'CHANNELS', 'SIZE', 'BAKED', 'ID'],
    images.map((image) => [
      `${image.component}@${image.version}`,
      verdict(context, image),
      image.channels.join(', ') || '-',
      sizeText(image.artifacts[0]?.sizeBytes ?? 0),
      agoText(image.createdAtMs, context.now()),
      colors.dim(image.id),
    ]),
    colors,
  );
}

function sourceText({ directory, host, commit, repository }: NonNullable<Image['source']>): string {
  const at = commit === undefined ? '' : ` at ${commit.slice(0, 12)}`;
  return `${directory} on ${host}${at}${repository === undefined ? '' : ` of ${repository}`}`;
}

function revokedText({ atMs, by, why }: NonNullable<Image['revoked']>): string {
  return `by ${by} at ${new Date(atMs).toISOString()}: ${why}`;
}

function verdict({ terminal: { colors } }: Context, image: Image): string {
  switch (image.state) {
    case 'revoked':
      return colors.red('revoked');
    case 'tested':
      return colors.green('passed') + (image.outdated ? colors.yellow(', outdated') : '');
    case 'failed':
      return colors.red('failed');
    case 'untested':
      return colors.dim('none yet');
  }
}

function detail(context: Context, image: Image): string {
  const lines = [
    `${context.terminal.colors.bold(`${image.component}@${image.version}`)}  ${image.id}`,
    `  input key  ${image.inputKey}`,
    ...image.artifacts.map(
      (one) =>
        `  artifact   ${one.kind} ${one.arch} ${one.digest ?? one.reference} (${sizeText(one.sizeBytes)})`,
    ),
    ...(image.revoked === undefined
      ? []
      : [`  ${context.terminal.colors.red('revoked')}    ${revokedText(image.revoked)}`]),
    ...(image.outdated ? ['  outdated   its base has moved on'] : []),
    ...(image.source === undefined ? [] : [`  source     ${sourceText(image.source)}`]),
    `  channels   ${image.channels.join(', ') || '-'}`,
    ...Object.entries(image.tags).map(([key, value]) => `  tag        ${key}=${value}`),
    ...image.checks.flatMap((one) => [
      `  check      ${one.kind} at ${one.where}: ${one.passed ? 'passed' : 'failed'} (${one.passedCount} passed, ${one.failedCount} failed)`,
      ...(one.passed
        ? []
        : one.failures.map((line) => `             ${line.replaceAll('\n', '\n             ')}`)),
    ]),
  ];
  return lines.join('\n');
}
