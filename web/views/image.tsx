/** One image: what it is, what was proven of it, and where it may go next. */
import { useState } from 'preact/hooks';
import type { Answer } from '../../src/api/contract.ts';
import { useLive, useLoaded } from '../live.ts';
import { CheckResults } from '../parts/check-results.tsx';
import { LineageTree } from '../parts/lineage.tsx';
import { Shown } from '../parts/shown.tsx';
import { sizeText } from '../parts/size.ts';
import { ChannelSteps } from '../parts/standing.tsx';
import { Ago } from '../parts/time.tsx';
import { placeOf } from '../place.ts';
import { DeployDialog, type Wish } from './deploy-dialog.tsx';
import { Fitness } from './images.tsx';

type Image = Answer<'images.get'>;

const SIBLINGS = 8;

export function ImageView({ reference }: { reference: string }) {
  const loaded = useLoaded(`image ${reference}`, (client, signal) =>
    client.call('images.get', { params: { reference } }, { signal }),
  );
  return <Shown loaded={loaded}>{(image) => <Facts image={image} />}</Shown>;
}

function Facts({ image }: { image: Image }) {
  const [wish, setWish] = useState<Wish>();
  return (
    <>
      <h1>
        {image.component} <small>{image.version}</small>
      </h1>
      <p class="lead">
        <Fitness image={image} />
        {image.channels.map((channel) => (
          <span class="tag" key={channel}>
            {channel}
          </span>
        ))}
        <span>
          baked <Ago atMs={image.createdAtMs} />
        </span>
      </p>
      {image.outdated && <p class="warning">Outdated: what it was baked from has moved on.</p>}
      {image.revoked !== undefined && (
        <p class="problem">
          Revoked by {image.revoked.by}: {image.revoked.why}
        </p>
      )}
      <section class="card">
        <h3>Manifest</h3>
        <dl>
          <dt>image</dt>
          <dd>
            <code>{image.id}</code>
          </dd>
          {image.parent !== undefined && (
            <>
              <dt>base</dt>
              <dd>
                <a href={placeOf('images', image.parent)}>
                  <code>{image.parent}</code>
                </a>
              </dd>
            </>
          )}
          {image.source !== undefined && (
            <>
              <dt>source</dt>
              <dd>
                <code>{image.source.directory}</code> on {image.source.host}
              </dd>
            </>
          )}
          {image.artifacts.map((artifact) => (
            <>
              <dt>{artifact.kind}</dt>
              <dd>
                <code>{artifact.digest ?? artifact.reference}</code> {artifact.arch} {artifact.region ?? ''}{' '}
                {sizeText(artifact.sizeBytes)}
              </dd>
            </>
          ))}
          {Object.entries(image.tags).map(([name, value]) => (
            <>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </>
          ))}
        </dl>
      </section>
      <ChannelSteps reference={image.id} />
      <LineageTree reference={image.id} />
      <CompareWith image={image} />
      <Checks image={image} />
      <Destinations image={image} choose={setWish} />
      {wish !== undefined && <DeployDialog wish={wish} close={() => setWish(undefined)} />}
    </>
  );
}

/** The component's other images, newest first, each one step from what differs. */
function CompareWith({ image }: { image: Image }) {
  const { component } = image;
  const loaded = useLoaded(`siblings ${component}`, (client, signal) =>
    client.call('images.list', { query: { component, limit: SIBLINGS } }, { signal }),
  );
  return (
    <Shown loaded={loaded}>
      {({ items }) => {
        const others = items.filter(({ id }) => id !== image.id);
        if (others.length === 0) return null;
        return (
          <p class="hint">
            What changed since{' '}
            {others.map((other) => (
              <a class="compare" key={other.id} href={placeOf('images', other.id, 'diff', image.id)}>
                {other.version}
              </a>
            ))}
          </p>
        );
      }}
    </Shown>
  );
}

function Checks({ image }: { image: Image }) {
  return (
    <section>
      <h2>Checks</h2>
      {image.checks.length === 0 && <p class="empty">None has run.</p>}
      <CheckResults checks={image.checks.toReversed()} />
    </section>
  );
}

/** Where the component is deployed already. */
function Destinations({ image, choose }: { image: Image; choose: (wish: Wish) => void }) {
  const { session } = useLive();
  const { component } = image;
  const loaded = useLoaded(`destinations ${component}`, (client, signal) =>
    client.call('services.list', { query: { component } }, { signal }),
  );
  if (session.role === 'viewer') return null;
  return (
    <Shown loaded={loaded}>
      {({ items }) => (
        <p class="actions">
          {items.map(({ environment }) => (
            <button
              type="button"
              key={environment}
              disabled={image.revoked !== undefined}
              onClick={() => choose({ component, environment, image: image.id })}
            >
              Deploy to {environment}…
            </button>
          ))}
        </p>
      )}
    </Shown>
  );
}
