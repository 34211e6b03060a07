/** One execution: its way through the graph, what it waits for and who may answer, and what its tasks write. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Answer } from '../../src/api/contract.ts';
import { asKilnError, type KilnError } from '../../src/domain/errors.ts';
import { useLive, useLoaded } from '../live.ts';
import { ansiPieces } from '../parts/ansi.ts';
import { Status } from '../parts/executions.tsx';
import { ReleaseEvidence } from '../parts/release-evidence.tsx';
import { Problem, Shown } from '../parts/shown.tsx';
import { Ago, spanText } from '../parts/time.tsx';
import { placeOf } from '../place.ts';
import { TaskLog } from './task-log.tsx';

type Execution = Answer<'executions.get'>;
type Graph = Answer<'executions.graph'>;
type Log = Answer<'executions.logs'>['items'][number];

const REFRESH_MS = 1_000;
const CAUSE_LINES = 10;

export function ExecutionView(props: { id: string; task: string | undefined; line: string | undefined }) {
  const { id } = props;
  const [isOver, setOver] = useState(false);
  const refreshMs = isOver ? 60_000 : REFRESH_MS;
  const execution = useLoaded(
    `execution ${id}`,
    async (client, signal) => {
      const found = await client.call('executions.get', { params: { id }, query: {} }, { signal });
      setOver(found.endedAtMs !== undefined);
      return found;
    },
    refreshMs,
  );
  const graph = useLoaded(
    `graph ${id}`,
    (client, signal) => client.call('executions.graph', { params: { id } }, { signal }),
    refreshMs,
  );
  const logs = useLoaded(
    `logs ${id}`,
    (client, signal) => client.call('executions.logs', { params: { id } }, { signal }),
    refreshMs,
  );
  return (
    <>
      <Shown loaded={execution}>{(value) => <Head execution={value} />}</Shown>
      <div class="execution">
        <Shown loaded={graph}>
          {(value) => (
            <Picture
              graph={value}
              waiting={'value' in execution ? (execution.value?.waits ?? []) : []}
              logs={'value' in logs ? (logs.value?.items ?? []) : []}
              id={id}
            />
          )}
        </Shown>
        <Shown loaded={logs}>
          {({ items }) => <Logs id={id} items={items} task={props.task} line={props.line} />}
        </Shown>
      </div>
    </>
  );
}

function Head({ execution }: { execution: Execution }) {
  const { id, pipeline, status, createdAtMs, endedAtMs, createdBy, trigger, commit, after } = execution;
  return (
    <>
      <h1>
        <a href={placeOf('pipelines', pipeline)}>{pipeline}</a> <small>{id}</small>
      </h1>
      <p class="lead">
        <Status status={status} />
        <span>
          begun <Ago atMs={createdAtMs} /> by {createdBy}
          {trigger !== undefined && ` (${trigger})`}
          {endedAtMs !== undefined && `, took ${spanText(endedAtMs - createdAtMs)}`}
        </span>
        {commit !== undefined && <code>{commit.slice(0, 12)}</code>}
        {after !== undefined && <a href={placeOf('executions', after)}>after another one</a>}
        <Actions execution={execution} />
      </p>
      {execution.error !== undefined && (
        <div class="problem">
          <strong>{execution.error}</strong>
          {execution.cause !== undefined && <pre title={execution.cause}>{endOf(execution.cause)}</pre>}
        </div>
      )}
      {execution.waits.map((waiting) => (
        <Waiting key={`${waiting.state} ${waiting.kind}`} id={id} waiting={waiting} />
      ))}
    </>
  );
}

/** What matters of a long cause is its first line and its last ones. */
function endOf(cause: string): string {
  const lines = cause.trimEnd().split('\n');
  const shown = lines.length > CAUSE_LINES ? [lines[0], '…', ...lines.slice(2 - CAUSE_LINES)] : lines;
  return shown
    .map((line = '') =>
      ansiPieces(line)
        .map(({ text }) => text)
        .join(''),
    )
    .join('\n');
}

/** Runs one act at a time, and says why it could not be done. */
function useAct(): {
  readonly act: (work: () => Promise<unknown>) => void;
  readonly busy: boolean;
  readonly error: KilnError | undefined;
} {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<KilnError>();
  const act = (work: () => Promise<unknown>): void => {
    setBusy(true);
    setError(undefined);
    work()
      .catch((thrown: unknown) => setError(asKilnError(thrown)))
      .finally(() => setBusy(false));
  };
  return { act, busy, error };
}

function Actions({ execution: { id, status, endedAtMs } }: { execution: Execution }) {
  const { client, session } = useLive();
  const { act, busy, error } = useAct();
  const [asked, setAsked] = useState(false);
  if (session.role === 'viewer') return null;
  const again = (from: 'failure' | 'start') =>
    act(async () => {
      const next = await client.call('executions.retry', { params: { id }, body: { from } });
      location.hash = placeOf('executions', next.id);
    });
  return (
    <span class="actions">
      {endedAtMs === undefined && !asked && (
        <button type="button" class="quiet" disabled={busy} onClick={() => setAsked(true)}>
          Cancel…
        </button>
      )}
      {endedAtMs === undefined && asked && (
        <>
          <button
            type="button"
            disabled={busy}
            onClick={() => act(() => client.call('executions.cancel', { params: { id } }))}
          >
            Cancel it: what runs is ended
          </button>
          <button type="button" class="quiet" onClick={() => setAsked(false)}>
            Let it run
          </button>
        </>
      )}
      {endedAtMs !== undefined && status !== 'SUCCEEDED' && (
        <button type="button" disabled={busy} onClick={() => again('failure')}>
          Retry from the failure
        </button>
      )}
      {endedAtMs !== undefined && (
        <button type="button" class="quiet" disabled={busy} onClick={() => again('start')}>
          Run again
        </button>
      )}
      {error !== undefined && <Problem error={error} />}
    </span>
  );
}

function Waiting({ id, waiting }: { id: string; waiting: Execution['waits'][number] }) {
  const { client, session } = useLive();
  const { act, busy, error } = useAct();
  const [why, setWhy] = useState('');
  const { state, kind, text, evidence, releases } = waiting;
  const decide = (approve: boolean): void =>
    act(() => client.call('executions.decide', { params: { id }, body: { approve, why, state } }));
  if (kind !== 'approval') {
    return (
      <p class="waiting">
        <b>{state}</b> {text}
      </p>
    );
  }
  return (
    <section class="card approval">
      <h3>{state}</h3>
      <p>{text}</p>
      {releases?.map((one) => (
        <ReleaseEvidence key={`${one.asked.image} ${one.asked.environment}`} evidence={one} />
      ))}
      {releases?.length === 0 && <p class="empty">No image is to be released.</p>}
      {evidence !== undefined && <pre>{JSON.stringify(evidence, null, 2)}</pre>}
      {session.role !== 'viewer' && (
        <form class="search" onSubmit={(event) => event.preventDefault()}>
          <input
            aria-label="Why"
            placeholder="Why"
            value={why}
            onInput={(event) => setWhy(event.currentTarget.value)}
          />
          <button type="button" disabled={busy} onClick={() => decide(true)}>
            Approve
          </button>
          <button type="button" class="quiet" disabled={busy} onClick={() => decide(false)}>
            Reject
          </button>
        </form>
      )}
      {error !== undefined && <Problem error={error} />}
    </section>
  );
}

/** The server's own picture; each state bears how it stands, and leads to its log. */
function Picture(props: { graph: Graph; waiting: Execution['waits']; logs: readonly Log[]; id: string }) {
  const { graph, waiting, logs, id } = props;
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const drawn = new DOMParser().parseFromString(graph.svg, 'image/svg+xml').documentElement;
    place.current?.replaceChildren(document.importNode(drawn, true));
  }, [graph.svg]);
  // Whatever was drawn last
  useEffect(() => {
    const statusOf = new Map(graph.states.map(({ state, status }) => [state, status as string]));
    for (const { state, kind } of waiting) if (kind !== 'task') statusOf.set(state, 'waiting');
    const withLog = new Map(logs.map(({ state, task }) => [state, task]));
    for (const element of place.current?.querySelectorAll<SVGGElement>('[data-state]') ?? []) {
      const name = element.dataset.state ?? '';
      element.setAttribute('class', `graph-state ${statusOf.get(name) ?? 'untouched'}`);
      const task = withLog.get(name);
      element.classList.toggle('has-log', task !== undefined);
      element.onclick = () => {
        if (task !== undefined) location.hash = placeOf('executions', id, task);
      };
    }
  }, [graph, waiting, logs, id]);
  return <div class="graph-picture" ref={place} />;
}

/** Which try of its state, where there are several. */
function tryOf(items: readonly Log[], log: Log) {
  const tries = items.filter(({ state }) => state === log.state);
  return tries.length > 1 ? <small class="faint"> {tries.indexOf(log) + 1}</small> : null;
}

function Logs(props: {
  id: string;
  items: readonly Log[];
  task: string | undefined;
  line: string | undefined;
}) {
  const { id, items, task, line } = props;
  const chosen = items.find((log) => log.task === task) ?? items.findLast(({ live }) => live) ?? items.at(-1);
  if (chosen === undefined) return <p class="empty">No task has written anything yet.</p>;
  return (
    <section class="task-logs">
      <nav class="tabs">
        {items.map((log) => (
          <a
            key={`${log.task} ${log.server}`}
            href={placeOf('executions', id, log.task)}
            aria-current={log.task === chosen.task ? 'true' : undefined}
          >
            {log.state}
            {tryOf(items, log)}
            {log.live && <i class="live-mark" title="It is written now" />}
          </a>
        ))}
      </nav>
      {chosen.unreadable === undefined ? (
        <TaskLog
          key={`${id} ${chosen.task} ${chosen.server}`}
          id={id}
          log={chosen}
          line={Number(line ?? 0)}
        />
      ) : (
        <p class="problem">{chosen.unreadable.message}</p>
      )}
    </section>
  );
}
