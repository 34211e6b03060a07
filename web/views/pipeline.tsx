/** One pipeline: how it stands, the four figures, what is flaky, and its history. */
import { useState } from 'preact/hooks';
import type { Answer } from '../../src/api/contract.ts';
import { useLoaded } from '../live.ts';
import { ExecutionTable, Standing, Ticks } from '../parts/executions.tsx';
import { Shown } from '../parts/shown.tsx';
import { spanText } from '../parts/time.tsx';
import { placeOf } from '../place.ts';

type Report = Answer<'pipelines.get'>;

const DAYS = 30;
const STATUSES = ['', 'running', 'succeeded', 'failed', 'timed_out', 'aborted'];

export function PipelineView({ pipeline }: { pipeline: string }) {
  const report = useLoaded(`pipeline ${pipeline}`, (client, signal) =>
    client.call('pipelines.get', { params: { pipeline }, query: { days: DAYS } }, { signal }),
  );
  return (
    <>
      <h1>
        {pipeline} <small>pipeline</small>
      </h1>
      <Shown loaded={report}>{(value) => <Health report={value} />}</Shown>
      <History pipeline={pipeline} />
    </>
  );
}

function Health({ report }: { report: Report }) {
  const { standing, failuresInRow, recent, durations, flakySteps } = report;
  return (
    <>
      <p class="lead">
        <Standing standing={standing} failuresInRow={failuresInRow} />
        <Ticks recent={recent} />
        {durations !== undefined && (
          <span>
            takes about {spanText(durations.medianMs)}, nine of ten at most {spanText(durations.p90Ms)}
            {trendText(durations.trend)}
          </span>
        )}
      </p>
      <Figures dora={report.dora} />
      {flakySteps.length > 0 && (
        <>
          <h2>Flaky steps</h2>
          <ul class="history">
            {flakySteps.map((step) => (
              <li key={step.state}>
                <b>{step.state}</b> succeeded after it had failed, with the same input, in {step.recovered} of{' '}
                {step.runs} runs; <a href={placeOf('executions', step.execution)}>the last one</a>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

function trendText(trend: number | undefined): string {
  const percent = Math.round(((trend ?? 1) - 1) * 100);
  if (Math.abs(percent) < 5) return '';
  return percent > 0 ? `; ${percent} % longer than before` : `; ${-percent} % shorter than before`;
}

function Figures({ dora }: { dora: Report['dora'] }) {
  const rate = dora.changeFailureRate;
  const perDay = dora.deploymentsPerDay;
  return (
    <ul class="figures dora" title={`In the last ${dora.days} days, of deployments to live environments`}>
      <li>
        <b>{perDay >= 1 || perDay === 0 ? perDay.toFixed(1) : `${(perDay * 7).toFixed(1)}`}</b> deployments{' '}
        {perDay >= 1 || perDay === 0 ? 'a day' : 'a week'}
      </li>
      <li>
        <b>{dora.leadTimeMs === undefined ? '–' : spanText(dora.leadTimeMs)}</b> from commit to live
      </li>
      <li class={rate !== undefined && rate > 0.15 ? 'bad' : ''}>
        <b>{rate === undefined ? '–' : `${Math.round(rate * 100)} %`}</b> of changes failed
      </li>
      <li>
        <b>{dora.restoreMs === undefined ? '–' : spanText(dora.restoreMs)}</b> to restore
      </li>
    </ul>
  );
}

function History({ pipeline }: { pipeline: string }) {
  const [text, setText] = useState('');
  const [status, setStatus] = useState('');
  const [pages, setPages] = useState<readonly string[]>([]);
  const cursor = pages.at(-1);
  const query = {
    pipeline,
    limit: 20,
    ...(text !== '' && { text }),
    ...(status !== '' && { status }),
    ...(cursor !== undefined && { cursor }),
  };
  const loaded = useLoaded(`executions ${JSON.stringify(query)}`, (client, signal) =>
    client.call('executions.list', { query }, { signal }),
  );
  return (
    <>
      <h2>History</h2>
      <form class="search" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          aria-label="Search executions"
          placeholder="commit, who, parameter, error…"
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setPages([]);
          }}
        />
        <select
          aria-label="Status"
          value={status}
          onChange={(event) => {
            setStatus(event.currentTarget.value);
            setPages([]);
          }}
        >
          {STATUSES.map((one) => (
            <option key={one} value={one}>
              {one === '' ? 'any status' : one.replace('_', ' ').replace('aborted', 'cancelled')}
            </option>
          ))}
        </select>
      </form>
      <Shown loaded={loaded}>
        {({ items, cursor: next }) => (
          <>
            {items.length === 0 ? <p class="empty">Nothing fits.</p> : <ExecutionTable items={items} />}
            <p class="actions">
              {pages.length > 0 && (
                <button type="button" class="quiet" onClick={() => setPages(pages.slice(0, -1))}>
                  Newer
                </button>
              )}
              {next !== undefined && (
                <button type="button" class="quiet" onClick={() => setPages([...pages, next])}>
                  Older
                </button>
              )}
            </p>
          </>
        )}
      </Shown>
    </>
  );
}
