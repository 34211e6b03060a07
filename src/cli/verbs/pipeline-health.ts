/** `kiln pipeline health`: how pipelines stand, and how one of them fares. */
import type { Answer } from '../../api/contract.ts';
import { answer, type Context, hint, numberFlag } from '../context.ts';
import { assertHasRun } from '../known-pipeline.ts';
import { table } from '../table.ts';
import { agoText, durationText } from '../time.ts';

type Overview = Answer<'pipelines.list'>['items'][number];
type Report = Answer<'pipelines.get'>;

const LETTERS: Readonly<Record<string, string>> = {
  SUCCEEDED: '●',
  FAILED: '✗',
  TIMED_OUT: '✗',
  ABORTED: '○',
};
const RECENT_SHOWN = 20;

export async function health(context: Context): Promise<number> {
  const [, pipeline] = context.args;
  const { signal } = context;
  if (pipeline === undefined) {
    const all = await context.client().call('pipelines.list', {}, { signal });
    if (all.items.length > 0) hint(context, 'one of them: kiln pipeline health PIPELINE');
    return answer(context, all, () => overviewText(context, all.items));
  }
  const days = numberFlag(context.flags, 'days', '--days') ?? 30;
  const input = { params: { pipeline }, query: { days } };
  const report = await context.client().call('pipelines.get', input, { signal });
  if (report.recent.length === 0) await assertHasRun(context, pipeline);
  hint(context, `its executions: kiln pipeline list ${pipeline}`);
  return answer(context, report, () => reportText(report));
}

function overviewText(context: Context, items: readonly Overview[]): string {
  if (items.length === 0) return 'There is no execution yet: kiln pipeline run DIR';
  const rows = items.map(({ pipeline, standing, failuresInRow, durations, recent }) => [
    pipeline,
    failuresInRow > 0 ? `${standing}, ${failuresInRow} in a row` : standing,
    lettersOf(recent),
    durations === undefined ? '–' : durationText(durations.medianMs),
    agoText(recent[0]?.createdAtMs ?? 0, context.now()),
  ]);
  return table(['PIPELINE', 'STANDING', 'RECENT', 'TAKES', 'LAST'], rows, context.terminal.colors);
}

function reportText(report: Report): string {
  const { pipeline, standing, failuresInRow, durations, recent, flakySteps, dora } = report;
  const rate = dora.changeFailureRate;
  const lines = [
    `${pipeline}: ${standing}${failuresInRow > 0 ? `, ${failuresInRow} failures in a row` : ''}`,
    `recent, newest last  ${lettersOf(recent)}`,
    ...(durations === undefined ? [] : [`takes                ${takesText(durations)}`]),
    ...flakySteps.map(
      ({ state, runs, recovered, execution }) =>
        `flaky                ${state}: succeeded after a failure ${recovered} times of ${runs}, last in ${execution}`,
    ),
    '',
    `in the last ${dora.days} days`,
    `deployed to live     ${dora.deployments} times, ${dora.deploymentsPerDay.toFixed(2)} a day`,
    `commit to live       ${knownDuration(dora.leadTimeMs)}`,
    `changes that failed  ${rate === undefined ? 'no change' : `${(rate * 100).toFixed(0)} % (${dora.failedChanges} of ${dora.changes})`}`,
    `time to restore      ${knownDuration(dora.restoreMs)}`,
  ];
  return lines.join('\n');
}

function takesText({ medianMs, p90Ms, trend }: NonNullable<Report['durations']>): string {
  const change = trend === undefined ? '' : `, ${trendText(trend)}`;
  return `${durationText(medianMs)} (nine of ten at most ${durationText(p90Ms)})${change}`;
}

function trendText(trend: number): string {
  const percent = Math.round(Math.abs(trend - 1) * 100);
  if (percent < 5) return 'steady';
  return trend > 1 ? `${percent} % longer than before` : `${percent} % shorter than before`;
}

function knownDuration(ms: number | undefined): string {
  return ms === undefined ? 'not known' : durationText(ms);
}

function lettersOf(recent: Overview['recent']): string {
  return recent
    .slice(0, RECENT_SHOWN)
    .map(({ status }) => LETTERS[status] ?? '…')
    .reverse()
    .join('');
}
