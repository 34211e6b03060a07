import { KilnError } from '../domain/errors.ts';
import { type InstanceId, serviceKey } from '../domain/ids.ts';
import type { Target } from '../domain/ports/target.ts';
import type { Release } from '../domain/release.ts';
import type { GroupSpec, ServerGroup } from '../domain/server-group.ts';
import type { DeployParts } from './parts.ts';

/** Everything the target needs to run a group, from the release it belongs to. */
export function groupSpec(
  release: Release,
  wish: ServerGroup,
  retire: readonly InstanceId[] = [],
): GroupSpec {
  const process = release.settings.processes.find((one) => one.name === wish.process);
  if (process === undefined) {
    throw new KilnError('internal', `Release ${release.number} has no process ${wish.process}.`);
  }
  return {
    group: wish.name,
    service: serviceKey(release.component, release.environment),
    release: release.number,
    version: release.version,
    artifact: release.artifact,
    ...(release.settings.runtime === undefined ? {} : { runtime: release.settings.runtime }),
    process,
    environment: release.settings.environment,
    files: release.config.files,
    desired: wish.desired,
    retire,
  };
}

export function targetOf(parts: Pick<DeployParts, 'targets'>, name: string): Target {
  const target = parts.targets.get(name);
  if (target === undefined) {
    throw new KilnError('target.unknown', `There is no target "${name}" on this Kiln.`, {
      next: `Name one of: ${[...parts.targets.keys()].join(', ')}.`,
    });
  }
  return target;
}
