import type { Answer } from '../../src/api/contract.ts';
import { Ago } from './time.tsx';

type Service = Answer<'services.get'>;
type Group = Service['groups'][number];
type Instance = Group['instances'][number];

const VERDICTS: Readonly<Record<Service['verdict'], string>> = {
  serving: 'serving',
  degraded: 'degraded',
  down: 'down',
  stopped: 'stopped',
  new: 'never deployed',
};

export function Verdict({ verdict }: { verdict: Service['verdict'] }) {
  return <span class={`verdict ${verdict}`}>{VERDICTS[verdict]}</span>;
}

function instanceState({ phase, ready }: Instance): 'ready' | 'starting' | 'stopping' | 'exited' {
  if (phase === 'running') return ready ? 'ready' : 'starting';
  return phase;
}

/** One brick an instance; empty places are instances that are wanted and not there. */
export function Bricks({ group }: { group: Group }) {
  const missing = Math.max(0, group.desired - group.instances.length);
  return (
    <span class="bricks">
      {group.instances.map((instance) => (
        <i
          key={instance.id}
          class={instanceState(instance)}
          title={`${instance.id}: ${instanceState(instance)}, ${instance.inFlight} in flight`}
        />
      ))}
      {Array.from({ length: missing }, (_, index) => (
        // Empty places are all alike
        <i key={`missing-${index}`} class="missing" title="wanted, and not there" />
      ))}
    </span>
  );
}

/** Its share of the traffic among the groups of its process, 0 to 1. */
function shareOf(group: Group, groups: readonly Group[]): number {
  const all = groups.filter((one) => one.process === group.process).reduce((sum, one) => sum + one.weight, 0);
  return all === 0 ? 0 : group.weight / all;
}

/** Nothing for a process that takes no traffic. */
export function Share({ group, groups }: { group: Group; groups: readonly Group[] }) {
  if (!groups.some((one) => one.process === group.process && one.weight > 0)) return null;
  const percent = Math.round(shareOf(group, groups) * 100);
  return (
    <span class="share" title={`${percent} % of the traffic of ${group.process}`}>
      <progress max={100} value={percent} /> {percent} %
    </span>
  );
}

export function InstanceTable({ group }: { group: Group }) {
  if (group.instances.length === 0) return <p class="empty">No instance runs.</p>;
  return (
    <table>
      <thead>
        <tr>
          <th>Instance</th>
          <th>State</th>
          <th>Router</th>
          <th class="number">In flight</th>
          <th>Address</th>
          <th>Started</th>
        </tr>
      </thead>
      <tbody>
        {group.instances.map((instance) => (
          <tr key={instance.id}>
            <td>
              <code>{instance.id}</code>
            </td>
            <td>
              <span class={`state ${instanceState(instance)}`}>{instanceState(instance)}</span>
            </td>
            <td>{instance.router}</td>
            <td class="number">{instance.inFlight}</td>
            <td>
              {instance.endpoint === undefined ? '–' : `${instance.endpoint.host}:${instance.endpoint.port}`}
            </td>
            <td>
              <Ago atMs={instance.startedAtMs} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
