/** Where an image stands: each channel as a step, what it demands, and what the image still lacks for it. */
import { useState } from 'preact/hooks';
import type { Client } from '../../src/api/client.ts';
import type { Answer } from '../../src/api/contract.ts';
import { asKilnError, type KilnError } from '../../src/domain/errors.ts';
import { useLive, useLoaded } from '../live.ts';
import { DemandTags } from './demands.tsx';
import { Problem, Shown } from './shown.tsx';

type Standing = Answer<'images.channels'>;
type Channel = Standing['channels'][number];

export function ChannelSteps({ reference }: { reference: string }) {
  const loaded = useLoaded(`standing ${reference}`, (client, signal) =>
    client.call('images.channels', { params: { reference } }, { signal }),
  );
  return (
    <section class="card">
      <h3>Channels</h3>
      <Shown loaded={loaded}>{(standing) => <Steps standing={standing} />}</Shown>
    </section>
  );
}

function Steps({ standing }: { standing: Standing }) {
  const { client, session } = useLive();
  const [failure, setFailure] = useState<KilnError>();
  if (standing.channels.length === 0) {
    return <p class="empty">Its component has no channel yet: kiln promote IMAGE CHANNEL makes one.</p>;
  }
  const promote = (channel: Channel['channel']): void => {
    setFailure(undefined);
    promoteTo(client, standing, channel).catch((thrown: unknown) => setFailure(asKilnError(thrown)));
  };
  return (
    <>
      {failure !== undefined && <Problem error={failure} />}
      <ul class="channel-steps">
        {standing.channels.map((one) => (
          <li key={one.channel} class={stateOf(one, standing)}>
            <b>{one.channel}</b>
            <span>
              <DemandTags demands={one.policy} by="the server" />
              <DemandTags demands={one.own} by="its kiln.yaml" />
            </span>
            <span class="lacks">{lackText(one, standing)}</span>
            {stateOf(one, standing) === 'open' && session.role !== 'viewer' && (
              <button type="button" class="quiet" onClick={() => promote(one.channel)}>
                Promote
              </button>
            )}
          </li>
        ))}
      </ul>
    </>
  );
}

async function promoteTo(client: Client, { image }: Standing, channel: Channel['channel']): Promise<void> {
  const params = { component: image.component, channel };
  await client.call('channels.promote', { params, body: { image: image.id } });
}

function stateOf({ holds, missing }: Channel, { image }: Standing): 'held' | 'open' | 'lacking' {
  if (holds === image.id) return 'held';
  return missing.length === 0 ? 'open' : 'lacking';
}

function lackText(channel: Channel, standing: Standing): string {
  switch (stateOf(channel, standing)) {
    case 'held':
      return 'holds it';
    case 'open':
      return 'lacks nothing';
    case 'lacking':
      return channel.missing.join('; ');
  }
}
