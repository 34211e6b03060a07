/** Every pipeline at a glance, and the last executions of all of them. */
import { useState } from 'preact/hooks';
import { useLoaded } from '../live.ts';
import { ExecutionTable, type Overview, Standing, Ticks } from '../parts/executions.tsx';
import { Shown } from '../parts/shown.tsx';
import { Ago, spanText } from '../parts/time.tsx';
import { placeOf } from '../place.ts';
import { StartDialog } from './start-dialog.tsx';

export function Pipelines() {
  const [asks, setAsks] = useState(false);
  const pipelines = useLoaded('pipelines', (client, signal) => client.call('pipelines.list', {}, { signal }));
  const executions = useLoaded('executions', (client, signal) =>
    client.call('executions.list', { query: { limit: 15 } }, { signal }),
  );
  return (
    <>
      <p class="actions">
        <button type="button" onClick={() => setAsks(true)}>
          Start a pipeline
        </button>
      </p>
      {asks && <StartDialog close={() => setAsks(false)} />}
      <Shown loaded={pipelines}>
        {({ items }) => (
          <>
            <Summary items={items} />
            {items.length === 0 && (
              <p class="empty">
                No pipeline has run yet. Try <code>kiln pipeline run examples/storefront</code>.
              </p>
            )}
            {items.length > 0 && (
              <section class="card pipelines">
                {items.map((one) => (
                  <Row key={one.pipeline} pipeline={one} />
                ))}
              </section>
            )}
          </>
        )}
      </Shown>
      <h2>Executions</h2>
      <Shown loaded={executions}>{({ items }) => <ExecutionTable items={items} />}</Shown>
    </>
  );
}

function Summary({ items }: { items: readonly Overview[] }) {
  const red = items.filter(({ standing }) => standing === 'red').length;
  const open = items.flatMap(({ recent }) => recent).filter(({ endedAtMs }) => endedAtMs === undefined);
  return (
    <ul class="figures">
      <li>
        <b>{items.length}</b> {items.length === 1 ? 'pipeline' : 'pipelines'}
      </li>
      <li class={red > 0 ? 'bad' : ''}>
        <b>{red}</b> red
      </li>
      <li class={open.length > 0 ? 'moving' : ''}>
        <b>{open.length}</b> under way
      </li>
    </ul>
  );
}

function Row({ pipeline: { pipeline, standing, failuresInRow, durations, recent } }: { pipeline: Overview }) {
  const [last] = recent;
  return (
    <a class="row pipeline" href={placeOf('pipelines', pipeline)}>
      <span class="environment">{pipeline}</span>
      <Standing standing={standing} failuresInRow={failuresInRow} />
      <Ticks recent={recent} />
      <span class="version">{durations === undefined ? '' : `about ${spanText(durations.medianMs)}`}</span>
      <span class="version">{last !== undefined && <Ago atMs={last.createdAtMs} />}</span>
    </a>
  );
}
