import type { Answer } from '../../api/contract.ts';
import { KilnError } from '../../domain/errors.ts';
import { sizeText } from '../../domain/size-text.ts';
import { answer, type Context, hint, isSet, numberFlag, textFlag } from '../context.ts';
import { table } from '../table.ts';
import { agoText } from '../time.ts';

const REASONS: Readonly<Record<string, string>> = {
  channel: 'a channel holds it',
  group: 'a server group runs it',
  release: 'a release that can be rolled back to names it',
  pinned: 'it is pinned by expires=never',
  young: 'it is younger than the threshold, or was used since',
  ancestor: 'an image that is kept was baked from it',
};

export async function run(context: Context): Promise<number> {
  const [action = 'status', reference] = context.args;
  if (action === 'status') return status(context);
  if (action === 'enable' || action === 'disable') return enable(context, action === 'enable');
  if (action === 'announced') return announced(context);
  if (action === 'run') return runJanitor(context);
  if (action === 'explain' && reference !== undefined) return explain(context, reference);
  if (action === 'restore' && reference !== undefined) return restore(context, reference);
  throw new KilnError('input.invalid', `"kiln janitor ${context.args.join(' ')}" is not known.`, {
    next: 'Use: kiln janitor run, announced, enable, disable, explain IMAGE or restore IMAGE.',
  });
}

async function status(context: Context): Promise<number> {
  const found = await context.client().call('janitor.get', {}, { signal: context.signal });
  return answer(context, found, () => stateText(context, found));
}

async function enable(context: Context, enabled: boolean): Promise<number> {
  const found = await context
    .client()
    .call('janitor.enable', { body: { enabled } }, { signal: context.signal });
  return answer(context, found, () => stateText(context, found));
}

function stateText(context: Context, { enabled, lastRunAtMs, policy }: Answer<'janitor.get'>): string {
  const days = Math.round(policy.unusedMs / (24 * 3600 * 1000));
  return [
    `The janitor is ${enabled ? 'enabled' : 'not enabled: it only says what it would do'}.`,
    `Images unused for ${days} days are announced, and swept ${policy.noticeWorkingDays} working days later.`,
    lastRunAtMs === undefined ? 'It has not run yet.' : `It last ran ${agoText(lastRunAtMs, context.now())}.`,
  ].join('\n');
}

async function runJanitor(context: Context): Promise<number> {
  const body = { dryRun: isSet(context.flags, 'dryRun') };
  const run = await context.client().call('janitor.run', { body }, { signal: context.signal });
  if (run.dryRun && !body.dryRun) hint(context, 'nothing was changed; to let it sweep: kiln janitor enable');
  return answer(context, run, () => runText(run));
}

function runText(run: Answer<'janitor.run'>): string {
  if (run.refused !== undefined) return `Nothing was done: ${run.refused}.`;
  const would = run.dryRun ? 'would be ' : '';
  const kept = Object.entries(run.kept).map(([reason, count]) => `  ${count}: ${REASONS[reason] ?? reason}`);
  return [
    `${run.images} images`,
    ...kept,
    `  ${run.announced}: ${would}announced now`,
    `  ${run.swept}: ${would}swept now`,
    `  ${run.waiting}: wait for the end of their notice, or for a later run`,
    ...(run.spared > 0 ? [`${run.spared} came to be needed in the meantime and stay.`] : []),
    ...(run.deletedBlobs > 0 ? [`${run.deletedBlobs} blobs deleted, ${sizeText(run.deletedBytes)}.`] : []),
    ...(run.artifactsLeft > 0
      ? [
          `${run.artifactsLeft} artifacts could not be deleted where they are kept; the next run tries again:`,
          ...run.failures.map(({ artifact, why }) => `  ${artifact}: ${why}`),
        ]
      : []),
  ].join('\n');
}

async function announced(context: Context): Promise<number> {
  const { flags, signal, terminal } = context;
  const cursor = textFlag(flags, 'cursor');
  const query = {
    limit: numberFlag(flags, 'limit', '--limit') ?? 20,
    ...(cursor === undefined ? {} : { cursor }),
  };
  const page = await context.client().call('janitor.announced', { query }, { signal });
  if (page.cursor !== undefined) hint(context, `more: --cursor ${page.cursor}`);
  if (page.items.length > 0) hint(context, 'to keep one: kiln janitor restore IMAGE');
  return answer(context, page, () =>
    page.items.length === 0
      ? 'No image is announced.'
      : table(
          ['IMAGE', 'ANNOUNCED', 'GOES AFTER', 'ID'],
          page.items.map((one) => [
            `${one.component}@${one.version}`,
            agoText(one.announcedAtMs, context.now()),
            new Date(one.sweepAfterMs).toISOString(),
            terminal.colors.dim(one.image),
          ]),
          terminal.colors,
        ),
  );
}

async function explain(context: Context, reference: string): Promise<number> {
  const found = await context
    .client()
    .call('janitor.explain', { params: { reference } }, { signal: context.signal });
  return answer(context, found, () => {
    if (found.kept !== undefined) return `It is kept: ${REASONS[found.kept] ?? found.kept}.`;
    if (found.sweepAfterMs === undefined) return 'Nothing needs it: the next run announces it.';
    return `Nothing needs it: it goes after ${new Date(found.sweepAfterMs).toISOString()}, unless it is restored: kiln janitor restore ${reference}`;
  });
}

async function restore(context: Context, reference: string): Promise<number> {
  const found = await context
    .client()
    .call('janitor.restore', { params: { reference } }, { signal: context.signal });
  context.progress.end(
    found.restored ? 'done' : 'same',
    found.restored ? 'it stays' : 'it was not announced',
  );
  return answer(context, found, () => undefined);
}
