/** One component in one environment: what runs, its releases and the way back, its log. */
import { useState } from 'preact/hooks';
import type { Answer } from '../../src/api/contract.ts';
import { useLive, useLoaded } from '../live.ts';
import { InstanceTable, Share, Verdict } from '../parts/group.tsx';
import { Shown } from '../parts/shown.tsx';
import { Ago, spanText } from '../parts/time.tsx';
import { placeOf } from '../place.ts';
import { DeployDialog, type Wish } from './deploy-dialog.tsx';
import { Log } from './log.tsx';

type Service = Answer<'services.get'>;
type Release = Answer<'releases.get'>;

export function ServiceView(props: { component: string; level: string; region: string }) {
  const { component, level, region } = props;
  const environment = `${level}/${region}`;
  const [wish, setWish] = useState<Wish>();
  const key = `${component} ${environment}`;
  const service = useLoaded(`service ${key}`, (client, signal) =>
    client.call('services.get', { params: { component, level, region } }, { signal }),
  );
  return (
    <>
      <h1>
        {component} <small>in {environment}</small>
      </h1>
      <Shown loaded={service}>{(value) => <Running service={value} />}</Shown>
      <Releases component={component} environment={environment} choose={setWish} />
      <Deployments component={component} environment={environment} />
      <Log component={component} level={level} region={region} />
      {wish !== undefined && <DeployDialog wish={wish} close={() => setWish(undefined)} />}
    </>
  );
}

function Running({ service }: { service: Service }) {
  return (
    <>
      <p class="lead">
        <Verdict verdict={service.verdict} />
        {service.serving !== undefined && (
          <span>
            {service.serving.version}, release {service.serving.release}
          </span>
        )}
        {service.urls.map((url) => (
          <a key={url} href={url} target="_blank" rel="noreferrer">
            {url}
          </a>
        ))}
      </p>
      {service.groups.map((group) => (
        <section class="card" key={group.name}>
          <h3>
            <code>{group.name}</code> <Share group={group} groups={service.groups} />
            {group.keepWarmUntilMs !== undefined && (
              <span class="warm">kept warm for {spanText(group.keepWarmUntilMs - Date.now())} more</span>
            )}
            {group.health.kind !== 'steady' && <span class="problem">{group.health.why}</span>}
          </h3>
          <InstanceTable group={group} />
        </section>
      ))}
    </>
  );
}

function Releases(props: { component: string; environment: string; choose: (wish: Wish) => void }) {
  const { component, environment, choose } = props;
  const { session } = useLive();
  const loaded = useLoaded(`releases ${component} ${environment}`, (client, signal) =>
    client.call('releases.list', { query: { component, environment, limit: 15 } }, { signal }),
  );
  return (
    <section>
      <h2>Releases</h2>
      <Shown loaded={loaded}>
        {({ items }) => (
          <table>
            <thead>
              <tr>
                <th class="number">Release</th>
                <th>Version</th>
                <th>Image</th>
                <th>Configuration</th>
                <th>Made</th>
                <th>Served</th>
                <th />
              </tr>
            </thead>
            <tbody>
              {items.map((release) => (
                <tr key={release.number}>
                  <td class="number">{release.number}</td>
                  <td>{release.version}</td>
                  <td>
                    <a href={placeOf('images', release.image)}>
                      <code>{release.image}</code>
                    </a>
                  </td>
                  <td>
                    <code title={release.config.keys.join(', ')}>{release.config.digest.slice(7, 19)}</code>
                  </td>
                  <td>
                    <Ago atMs={release.createdAtMs} /> by {release.createdBy}
                  </td>
                  <td>
                    <Served release={release} />
                  </td>
                  <td>
                    {session.role !== 'viewer' && (
                      <button
                        type="button"
                        class="quiet"
                        onClick={() => choose({ component, environment, release: release.number })}
                      >
                        Deploy…
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Shown>
    </section>
  );
}

function Served({ release }: { release: Release }) {
  if (release.bad !== undefined) return <span class="problem">bad: {release.bad.why}</span>;
  return release.servedAtMs === undefined ? <span>never</span> : <Ago atMs={release.servedAtMs} />;
}

function Deployments({ component, environment }: { component: string; environment: string }) {
  const loaded = useLoaded(`deployments ${component} ${environment}`, (client, signal) =>
    client.call('deployments.list', { query: { component, environment, limit: 8 } }, { signal }),
  );
  return (
    <section>
      <h2>Deployments</h2>
      <Shown loaded={loaded}>
        {({ items }) => (
          <ol class="history">
            {items.map((one) => (
              <li key={one.id}>
                <span class={`state ${one.state}`}>{one.state}</span> {one.reason}
                {one.from === undefined ? '' : ` from release ${one.from}`} to release {one.to},{' '}
                {one.strategy}, by {one.createdBy}, <Ago atMs={one.createdAtMs} />
                {one.endedAtMs !== undefined && ` in ${spanText(one.endedAtMs - one.createdAtMs)}`}
                {one.failure !== undefined && <p class="problem">{one.failure.message}</p>}
              </li>
            ))}
          </ol>
        )}
      </Shown>
    </section>
  );
}
