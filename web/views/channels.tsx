/** What every channel holds, and what follows its base by itself. */
import { useState } from 'preact/hooks';
import type { Answer } from '../../src/api/contract.ts';
import { asKilnError, type KilnError } from '../../src/domain/errors.ts';
import { useLive, useLoaded } from '../live.ts';
import { Problem, Shown } from '../parts/shown.tsx';
import { Ago } from '../parts/time.tsx';
import { placeOf } from '../place.ts';

type Move = Answer<'channels.list'>['items'][number];
type Rebake = Answer<'rebakes.list'>['items'][number];

export function Channels() {
  const moves = useLoaded('channels', (client, signal) =>
    client.call('channels.list', { query: {} }, { signal }),
  );
  const rebakes = useLoaded('rebakes', (client, signal) => client.call('rebakes.list', {}, { signal }));
  return (
    <>
      <Shown loaded={moves}>{({ items }) => <ByComponent moves={items} />}</Shown>
      <h2>Following their base</h2>
      <Shown loaded={rebakes}>{({ items }) => <RebakeTable items={items} />}</Shown>
    </>
  );
}

function ByComponent({ moves }: { moves: readonly Move[] }) {
  if (moves.length === 0) return <p class="empty">No channel holds anything yet.</p>;
  return (
    <>
      {[...Map.groupBy(moves, (move) => move.component)].map(([component, all]) => (
        <section class="card" key={component}>
          <h2>{component}</h2>
          <table class="moves">
            <tbody>
              {all.map((move) => (
                <ChannelRow key={move.channel} move={move} />
              ))}
            </tbody>
          </table>
        </section>
      ))}
    </>
  );
}

function ChannelRow({ move }: { move: Move }) {
  const { client, session } = useLive();
  const [failure, setFailure] = useState<KilnError>();
  const { component, channel, image, previous } = move;
  const back = (): void => {
    setFailure(undefined);
    client
      .call('channels.back', { params: { component, channel }, body: { expected: image } })
      .catch((thrown: unknown) => setFailure(asKilnError(thrown)));
  };
  return (
    <tr>
      <td>
        <span class="tag">{channel}</span>
      </td>
      <td>
        <a href={placeOf('images', image)}>{move.version}</a>
      </td>
      <td>
        <Ago atMs={move.atMs} /> by {move.by}
        <br />
        <small class="faint">{move.why}</small>
        {failure !== undefined && <Problem error={failure} />}
      </td>
      <td class="number">
        {previous !== undefined && <a href={placeOf('images', previous, 'diff', image)}>What changed</a>}{' '}
        {previous !== undefined && session.role !== 'viewer' && (
          <button type="button" class="quiet" onClick={back}>
            Back
          </button>
        )}
      </td>
    </tr>
  );
}

const WORDS: Readonly<Record<Rebake['state'], string>> = {
  waits: 'waits',
  bakes: 'to be baked',
  checks: 'to be checked',
  promotes: 'to be promoted',
  held: 'baked',
  failed: 'failed',
  elsewhere: 'elsewhere',
};
const TONES: Readonly<Record<Rebake['state'], string>> = {
  waits: '',
  bakes: 'starting',
  checks: 'starting',
  promotes: 'starting',
  held: 'ready',
  failed: 'failed',
  elsewhere: '',
};

function RebakeTable({ items }: { items: readonly Rebake[] }) {
  if (items.length === 0) {
    return <p class="empty">Every image that follows its base is on the newest one.</p>;
  }
  return (
    <section class="card">
      <table>
        <tbody>
          {items.map((item) => (
            <tr key={item.image.id}>
              <td>
                <a href={placeOf('images', item.image.id)}>
                  {item.image.component} {item.image.version}
                </a>
              </td>
              <td>
                <code>{item.base}</code> {item.onto?.version}
              </td>
              <td>
                <span class={`state ${TONES[item.state]}`}>
                  {WORDS[item.state]}
                  {item.running ? '…' : ''}
                </span>
              </td>
              <td>
                <RebakeReason item={item} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function RebakeReason({ item }: { item: Rebake }) {
  const { client, session } = useLive();
  const lacking = (item.unmet ?? []).filter(({ demands }) => demands.length > 0);
  return (
    <>
      {item.made !== undefined && <a href={placeOf('images', item.made.id)}>{item.made.version}</a>}{' '}
      {item.why} {item.next}{' '}
      {lacking.map(({ channel, demands }) => (
        <div key={channel}>
          <span class="tag">{channel}</span> {demands.join('; ')}
        </div>
      ))}
      {item.state === 'failed' && session.role !== 'viewer' && (
        <button
          type="button"
          class="quiet"
          onClick={() => void client.call('rebakes.retry', { params: { reference: item.image.id } })}
        >
          Try again
        </button>
      )}
    </>
  );
}
