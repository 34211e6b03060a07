/** Everything that runs, at a glance: a card a component, a row an environment. */
import type { Answer } from '../../src/api/contract.ts';
import { useLoaded } from '../live.ts';
import { Bricks, Share, Verdict } from '../parts/group.tsx';
import { Shown } from '../parts/shown.tsx';
import { Ago } from '../parts/time.tsx';
import { placeOf } from '../place.ts';

type Service = Answer<'services.get'>;

export function Services() {
  const loaded = useLoaded('services', (client, signal) =>
    client.call('services.list', { query: {} }, { signal }),
  );
  return (
    <Shown loaded={loaded}>
      {({ items }) => (
        <>
          <Summary services={items} />
          {items.length === 0 && <Nothing />}
          <div class="cards">
            {[...Map.groupBy(items, (service) => service.component)].map(([component, services]) => (
              <section class="card" key={component}>
                <h2>{component}</h2>
                {services.map((service) => (
                  <Row key={service.environment} service={service} />
                ))}
              </section>
            ))}
          </div>
        </>
      )}
    </Shown>
  );
}

function Nothing() {
  return (
    <p class="empty">
      Nothing was deployed yet. Try <code>kiln up examples/storefront</code>.
    </p>
  );
}

function Summary({ services }: { services: readonly Service[] }) {
  const instances = services.flatMap((service) => service.groups.flatMap((group) => group.instances));
  const ready = instances.filter((instance) => instance.ready).length;
  const ill = services.filter(
    (service) => service.verdict === 'down' || service.verdict === 'degraded',
  ).length;
  const moving = services.filter((service) => service.deployment !== undefined).length;
  return (
    <ul class="figures">
      <li>
        <b>{services.length}</b> services
      </li>
      <li>
        <b>{ready}</b> of {instances.length} instances ready
      </li>
      <li class={ill > 0 ? 'bad' : ''}>
        <b>{ill}</b> need attention
      </li>
      <li class={moving > 0 ? 'moving' : ''}>
        <b>{moving}</b> being deployed
      </li>
    </ul>
  );
}

/** Another release of the same process runs beside it. */
function hasRivals(group: Service['groups'][number], service: Service): boolean {
  return service.groups.some((one) => one.process === group.process && one.release !== group.release);
}

function Row({ service }: { service: Service }) {
  const [level = '', region = ''] = service.environment.split('/');
  const { serving, deployment } = service;
  return (
    <a class="row" href={placeOf('services', service.component, level, region)}>
      <span class="environment">{service.environment}</span>
      <Verdict verdict={service.verdict} />
      <span class="version">
        {serving === undefined ? '–' : `${serving.version} · release ${serving.release}`}
      </span>
      <span class="groups">
        {service.groups.map((group) => (
          <span
            key={group.name}
            class={`group ${group.keepWarmUntilMs === undefined ? '' : 'warm'}`}
            title={group.name}
          >
            <small>
              {group.process} v{String(group.release).padStart(3, '0')}
            </small>{' '}
            <Bricks group={group} />
            {hasRivals(group, service) && <Share group={group} groups={service.groups} />}
          </span>
        ))}
      </span>
      {deployment !== undefined && (
        <span class="moving">
          {deployment.reason} to release {deployment.to}, begun <Ago atMs={deployment.createdAtMs} />
        </span>
      )}
    </a>
  );
}
