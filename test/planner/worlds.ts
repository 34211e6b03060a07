/** Services for the planner's tests, built from a handful of choices. */

import { wishFor } from '../../src/deploy/planner/groups.ts';
import type { GroupWorld, World } from '../../src/deploy/planner/world.ts';
import type { ProcessSpec, Strategy } from '../../src/domain/component.ts';
import type { Deployment } from '../../src/domain/deployment.ts';
import {
  componentName,
  type DeploymentId,
  type Digest,
  environmentName,
  type ImageId,
  type InstanceId,
  processName,
} from '../../src/domain/ids.ts';
import type { Release, ReleaseState } from '../../src/domain/release.ts';

export const GRACE_MS = 1_000;
export const TIMEOUT_MS = 60_000;
/** More than those need that come up late. */
export const STARTUP_MS = 30_000;

export interface Shape {
  readonly strategy: Exclude<Strategy, 'canary'>;
  readonly size: number;
  readonly min: number;
  readonly batch: number;
  readonly worker: boolean;
  readonly exclusive: boolean;
  readonly migrate: boolean;
  readonly checks: boolean;
  readonly keepWarm: boolean;
}

const component = componentName('shop');
const environment = environmentName('live/local');

function processSpec(name: string, shape: Shape, listens: boolean): ProcessSpec {
  const exclusive = shape.exclusive && listens;
  const desired = exclusive ? 1 : shape.size;
  return {
    name: processName(name),
    run: 'serve',
    listens,
    standard: false,
    ...(listens ? { health: { path: '/', intervalMs: 1_000, timeoutMs: 1_000, startupMs: STARTUP_MS } } : {}),
    instances: { min: Math.min(shape.min, desired), desired, max: desired + 3 },
    stop: { signals: ['SIGTERM', 'SIGKILL'], graceMs: GRACE_MS },
    volumes: exclusive ? [{ name: 'data', path: 'data', shared: false }] : [],
  };
}

export function release(shape: Shape, number: number, servedAtMs?: number): Release & ReleaseState {
  const processes = [processSpec('web', shape, true)];
  if (shape.worker) processes.push(processSpec('worker', shape, false));
  return {
    component,
    environment,
    number,
    image: `image-${number}` as ImageId,
    version: `1.0.${number}`,
    artifact: `sha256:${String(number).padStart(64, '0')}` as Digest,
    config: { digest: `sha256:${'0'.repeat(64)}` as Digest, values: {}, files: [] },
    settings: {
      target: 'local',
      processes,
      deploy: {
        strategy: shape.strategy,
        keepWarmMs: shape.keepWarm ? 5_000 : 0,
        timeoutMs: TIMEOUT_MS,
        batch: shape.batch,
        steps: [],
        everyMs: 0,
      },
      ...(shape.migrate ? { migrate: 'migrate' } : {}),
      checks: shape.checks ? ['smoke.yaml'] : [],
      environment: {},
    },
    routes: [{ host: 'shop.localhost', path: '/', process: processName('web') }],
    createdAtMs: 0,
    createdBy: 'test',
    ...(servedAtMs === undefined ? {} : { servedAtMs }),
  };
}

export function runningGroups(of: Release, nowMs: number, warm: boolean): GroupWorld[] {
  return of.settings.processes
    .filter((process) => !warm || process.listens)
    .map((process) => {
      const wish = wishFor(of, process, process.instances.desired);
      return {
        name: wish.name,
        wish: warm ? { ...wish, keepWarmUntilMs: nowMs + 5_000 } : wish,
        present: true,
        health: { kind: 'steady' as const },
        instances: Array.from({ length: process.instances.desired }, (_, index) => ({
          id: `${wish.name}-${index + 1}` as InstanceId,
          ordinal: index + 1,
          phase: { kind: 'running' as const, endpoint: { host: '127.0.0.1', port: 20_000 + index } },
          startedAtMs: nowMs - 60_000,
          router: process.listens ? ('up' as const) : ('absent' as const),
          routerDraining: false,
          inFlight: 0,
          hasBeenReady: true,
        })),
      };
    });
}

export function deployment(
  to: number,
  strategy: Shape['strategy'],
  reason: Deployment['reason'],
  from?: number,
): Deployment {
  return {
    id: `deployment-${to}` as DeploymentId,
    component,
    environment,
    reason,
    to,
    ...(from === undefined ? {} : { from }),
    strategy,
    state: 'running',
    decisions: {},
    createdAtMs: 0,
    createdBy: 'test',
  };
}

export type Beginning = 'first' | 'replace' | 'rollback-warm' | 'rollback-cold';

/** A service at the moment a deployment begins. */
export function beginning(shape: Shape, kind: Beginning): World {
  const nowMs = 1_000_000;
  const first = kind === 'first';
  const rollback = kind === 'rollback-warm' || kind === 'rollback-cold';
  const serving = rollback ? 2 : 1;
  const to = first || rollback ? 1 : 2;
  const releases = new Map(
    [1, 2].map((number) => [number, release(shape, number, first ? undefined : number * 1000)]),
  );
  const groups: GroupWorld[] = [];
  const current = releases.get(serving);
  const other = releases.get(1);
  if (!first && current !== undefined) groups.push(...runningGroups(current, nowMs, false));
  if (kind === 'rollback-warm' && !shape.exclusive && other !== undefined)
    groups.push(...runningGroups(other, nowMs, true));
  const weights: Record<string, number> = {};
  for (const group of groups) {
    if (group.wish?.process === 'web') weights[group.name] = group.wish.release === serving ? 100 : 0;
  }
  return {
    nowMs,
    service: { component, environment, stopped: false, weights, ...(first ? {} : { serving }) },
    releases,
    groups,
    deployment: deployment(
      to,
      rollback ? 'blue-green' : shape.strategy,
      rollback ? 'rollback' : 'deploy',
      first ? undefined : serving,
    ),
    queued: false,
    prepared: new Set(first ? [] : [serving]),
    routing: { inForce: true, weights: { ...weights } },
  };
}
