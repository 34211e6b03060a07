/** Nouns to put into a store, each valid and as small as it may be. */

import type { Change } from '../../src/domain/change.ts';
import type { EnvironmentSpec } from '../../src/domain/component.ts';
import {
  channelName,
  componentName,
  type Digest,
  digest,
  environmentName,
  type ImageId,
  processName,
  type ServiceKey,
  serviceKey,
} from '../../src/domain/ids.ts';
import type { CheckResult, Image } from '../../src/domain/image.ts';
import type { DeploymentRequest } from '../../src/domain/ports/deployments.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import type { Release } from '../../src/domain/release.ts';
import { type ServerGroup, serverGroupName } from '../../src/domain/server-group.ts';

export const storefront = componentName('storefront');
export const checkout = componentName('checkout');
export const liveUk = environmentName('live/uk');
export const candidate = channelName('candidate');
export const service: ServiceKey = serviceKey(storefront, liveUk);
export const by: Change = { actor: 'alice', atMs: 1_700_000_000_000 };

export function digestOf(n: number): Digest {
  return digest(`sha256:${n.toString(16).padStart(64, '0')}`);
}

const environmentSpec: EnvironmentSpec = {
  processes: [],
  config: { required: [], values: {}, env: 'all', files: [] },
  deploy: {
    strategy: 'blue-green',
    keepWarmMs: 1000,
    timeoutMs: 1000,
    batch: 1,
    steps: [],
    everyMs: 1000,
  },
  routes: [],
  checks: [],
  target: 'local',
};

export function image(n: number, component = storefront): Omit<Image, 'checks' | 'revoked'> {
  return {
    id: `${component}-${n}` as ImageId,
    component,
    version: `1.0.${n}`,
    inputKey: digestOf(n),
    tags: { git: 'abc', z: 'last', a: 'first' },
    definition: {
      component,
      image: { kind: 'bundle', build: [], buildEnvironment: {}, include: [], exclude: [], tests: [] },
      defaults: environmentSpec,
      environments: {},
    },
    artifacts: [
      {
        kind: 'bundle',
        provider: 'local',
        arch: 'amd64',
        digest: digestOf(1000 + n),
        sizeBytes: 5_000_000_000,
      },
    ],
    createdAtMs: by.atMs,
  };
}

export function check(passed: boolean, where = 'bake'): CheckResult {
  return {
    id: `check-${where}`,
    kind: 'smoke',
    where,
    passed,
    passedCount: 3,
    failedCount: passed ? 0 : 1,
    failures: passed ? [] : ['GET / was 503'],
    atMs: by.atMs,
  };
}

export type NewRelease = Omit<Release, 'number' | 'createdAtMs' | 'createdBy'>;

export function release(
  component = storefront,
  environment = liveUk,
  hosts: readonly string[] = [],
): NewRelease {
  return {
    component,
    environment,
    image: image(1, component).id,
    version: '1.0.1',
    artifact: digestOf(1001),
    config: { digest: digestOf(7), values: { greeting: 'Grüße\u0000\n' }, files: [] },
    settings: {
      target: 'local',
      processes: [],
      deploy: environmentSpec.deploy,
      checks: [],
      environment: {},
    },
    routes: hosts.map((host) => ({ host, path: '/', process: processName('web') })),
  };
}

export function deployment(to: number, more: Partial<DeploymentRequest> = {}): DeploymentRequest {
  return {
    component: storefront,
    environment: liveUk,
    reason: 'deploy',
    to,
    strategy: 'blue-green',
    onConflict: 'refuse',
    ...more,
  };
}

export function group(releaseNumber: number, desired = 3): ServerGroup {
  const web = processName('web');
  return {
    name: serverGroupName(storefront, web, liveUk, releaseNumber),
    component: storefront,
    environment: liveUk,
    process: web,
    release: releaseNumber,
    role: 'main',
    target: 'local',
    desired,
    leaving: [],
  };
}

/** A component with one image, released this many times. */
export async function released(store: Store, count = 1, component = storefront): Promise<void> {
  await store.images.create(image(1, component), by);
  for (let n = 0; n < count; n += 1) await store.releases.create(release(component), by);
}

/** The fence of a lease taken by `holder` for an hour. */
export async function own(store: Store, holder = 'server-1', of: ServiceKey = service): Promise<number> {
  const lease = await store.leases.acquire(of, holder, 3_600_000, by.atMs);
  if (!lease) throw new Error(`${holder} did not get the lease`);
  return lease.fence;
}

/** Every event of the store, read as a follower would. */
export async function allEvents(store: Store): Promise<readonly string[]> {
  const events = await store.events.after(0, 10_000);
  return events.map((event) => event.kind);
}
