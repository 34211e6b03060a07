/** What is shown of executions in several places. */
import type { Answer } from '../../src/api/contract.ts';
import { placeOf } from '../place.ts';
import { Ago, spanText } from './time.tsx';

export type Summary = Answer<'executions.list'>['items'][number];
export type Overview = Answer<'pipelines.list'>['items'][number];

const WORDS: Readonly<Record<Summary['status'], string>> = {
  PENDING: 'waiting',
  RUNNING: 'running',
  SUCCEEDED: 'succeeded',
  FAILED: 'failed',
  TIMED_OUT: 'timed out',
  ABORTED: 'cancelled',
};
const TICKS = 24;

export function Status({ status }: { status: Summary['status'] }) {
  return <span class={`state execution-${status.toLowerCase()}`}>{WORDS[status]}</span>;
}

export function Standing({ standing, failuresInRow }: Pick<Overview, 'standing' | 'failuresInRow'>) {
  const text = standing === 'unknown' ? 'nothing ended yet' : standing;
  return (
    <span class={`state standing-${standing}`}>
      {failuresInRow > 1 ? `${text}, ${failuresInRow} in a row` : text}
    </span>
  );
}

function tookMs({ createdAtMs, endedAtMs = Date.now() }: Summary): number {
  return endedAtMs - createdAtMs;
}

/** A bar an execution, the newest at the right; as high as it took long. */
export function Ticks({ recent }: { recent: readonly Summary[] }) {
  const shown = recent.slice(0, TICKS).toReversed();
  const longest = Math.max(1, ...shown.map(tookMs));
  return (
    <span class="ticks">
      {shown.map((one) => (
        <i
          key={one.id}
          class={`execution-${one.status.toLowerCase()}`}
          style={{ height: `${Math.max(18, Math.round((tookMs(one) / longest) * 100))}%` }}
          title={`${WORDS[one.status]} ${spanText(tookMs(one))}, ${new Date(one.createdAtMs).toLocaleString()}`}
        />
      ))}
    </span>
  );
}

export function ExecutionTable({ items }: { items: readonly Summary[] }) {
  return (
    <table class="executions">
      <thead>
        <tr>
          <th>Execution</th>
          <th>Status</th>
          <th>Started</th>
          <th>By</th>
          <th>Commit</th>
          <th class="number">Took</th>
        </tr>
      </thead>
      <tbody>
        {items.map((one) => (
          <tr key={one.id}>
            <td>
              <a href={placeOf('executions', one.id)}>{one.id.replace(/^(exec-[\w]{8}).*$/, '$1')}</a>
            </td>
            <td>
              <Status status={one.status} />
              {one.error !== undefined && <code title={one.cause}> {one.error}</code>}
            </td>
            <td>
              <Ago atMs={one.createdAtMs} />
            </td>
            <td>
              {one.createdBy}
              {one.trigger !== undefined && <small class="faint"> {one.trigger}</small>}
            </td>
            <td>
              <code>{one.commit?.slice(0, 10) ?? '–'}</code>
            </td>
            <td class="number">{spanText(tookMs(one))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
