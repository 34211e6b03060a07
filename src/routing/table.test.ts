import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ProcessSpec } from '../domain/component.ts';
import { componentName, environmentName, type InstanceId, processName, serviceKey } from '../domain/ids.ts';
import { type InstancePhase, type InstanceView, serverGroupName } from '../domain/server-group.ts';
import { type ObservedGroup, type ServiceTableInput, serviceTable } from './table.ts';

const component = componentName('shop');
const environment = environmentName('live/uk');
const web = processName('web');

function listening(name = web): ProcessSpec {
  return {
    name,
    run: 'node server.js',
    listens: true,
    health: { path: '/health', intervalMs: 1_000, timeoutMs: 500, startupMs: 5_000 },
    standard: false,
    instances: { min: 1, desired: 1, max: 1 },
    stop: { signals: ['SIGTERM', 'SIGKILL'], graceMs: 12_000 },
    volumes: [],
  };
}

function instanceId(text: string): InstanceId {
  return text as InstanceId;
}

const arbitraryPhase: fc.Arbitrary<InstancePhase> = fc.oneof(
  fc.constant<InstancePhase>({ kind: 'starting' }),
  fc.constant<InstancePhase>({ kind: 'running' }),
  fc.integer({ min: 1024, max: 65_535 }).map<InstancePhase>((port) => ({
    kind: 'running',
    endpoint: { host: '127.0.0.1', port },
  })),
  fc.constant<InstancePhase>({ kind: 'stopping' }),
  fc.constant<InstancePhase>({ kind: 'exited', exitCode: 1, signal: null }),
);

const arbitraryGroups: fc.Arbitrary<ObservedGroup[]> = fc
  .uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 4 })
  .chain((releases) =>
    fc.tuple(
      ...releases.map((release) =>
        fc
          .record({
            phases: fc.array(arbitraryPhase, { maxLength: 6 }),
            leaving: fc.array(fc.nat(7), { maxLength: 3 }),
            role: fc.constantFrom('main', 'canary', 'baseline', 'check'),
          })
          .map(({ phases, leaving, role }): ObservedGroup => {
            const name = serverGroupName(component, web, environment, release, role);
            return {
              group: {
                name,
                component,
                environment,
                process: web,
                release,
                role,
                target: 'local',
                desired: phases.length,
                leaving: leaving.map((n) => ({ instance: instanceId(`${name}-${n}`), untilMs: 0 })),
              },
              instances: phases.map(
                (phase, ordinal): InstanceView => ({
                  id: instanceId(`${name}-${ordinal}`),
                  ordinal,
                  phase,
                  startedAtMs: 0,
                }),
              ),
            };
          }),
      ),
    ),
  );

function input(groups: ObservedGroup[], weights: Record<string, number> = {}): ServiceTableInput {
  return {
    service: serviceKey(component, environment),
    generation: { fence: 1, sequence: 1 },
    routes: [{ host: 'Shop.Example.com', path: '/api/', process: web }],
    processes: [listening(), { ...listening(processName('worker')), listens: false }],
    groups,
    weights,
    holdMs: 500,
  };
}

describe('serviceTable', () => {
  it('routes to exactly the running instances with an endpoint, and drains those that leave', () => {
    fc.assert(
      fc.property(arbitraryGroups, (groups) => {
        const table = serviceTable(input(groups));
        const routed = new Map(
          table.pools.flatMap((pool) =>
            pool.groups.flatMap((group) => group.endpoints.map((each) => [each.instance, each] as const)),
          ),
        );
        for (const { group, instances } of groups) {
          for (const instance of instances) {
            const reachable =
              group.role !== 'check' &&
              instance.phase.kind === 'running' &&
              instance.phase.endpoint !== undefined;
            expect(routed.has(instance.id)).toBe(reachable);
            if (!reachable) continue;
            const leaves = group.leaving.some((each) => each.instance === instance.id);
            expect(routed.get(instance.id)?.draining).toBe(leaves);
          }
        }
      }),
    );
  });

  it('gives every group its weight, and none to a group that nobody weighed', () => {
    fc.assert(
      fc.property(arbitraryGroups, fc.nat(100), (groups, weight) => {
        const weighed = groups[0]?.group.name;
        const table = serviceTable(input(groups, weighed === undefined ? {} : { [weighed]: weight }));
        for (const group of table.pools.flatMap((pool) => pool.groups)) {
          expect(group.weight).toBe(group.group === weighed ? weight : 0);
        }
      }),
    );
  });

  it('does not depend on the order in which groups and instances are seen', () => {
    fc.assert(
      fc.property(arbitraryGroups, (groups) => {
        const reversed = groups
          .map((each) => ({ ...each, instances: each.instances.toReversed() }))
          .toReversed();
        expect(serviceTable(input(reversed))).toEqual(serviceTable(input(groups)));
      }),
    );
  });

  it('takes health, drain and hold from the process, and only listening processes get a pool', () => {
    const table = serviceTable(input([]));
    expect(table.pools).toEqual([
      { process: web, health: listening().health, drainMs: 12_000, holdMs: 500, groups: [] },
    ]);
    expect(table.routes).toEqual([{ host: 'shop.example.com', path: '/api', process: web }]);
  });
});
