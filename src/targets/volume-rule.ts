import { KilnError } from '../domain/errors.ts';
import type { ServiceKey } from '../domain/ids.ts';
import type { GroupSpec } from '../domain/server-group.ts';
import { type EngineInstance, exclusiveVolumes } from './instance-engine.ts';

/** The living instances that hold a volume which the group needs for itself alone. */
export function volumeHolders(
  spec: GroupSpec,
  instances: readonly EngineInstance[],
): readonly EngineInstance[] {
  const wanted = exclusiveVolumes(spec);
  if (wanted.length === 0) return [];
  return instances.filter(
    (instance) =>
      instance.state.kind !== 'ended' && instance.exclusiveVolumes.some((key) => wanted.includes(key)),
  );
}

/** Fails with `volume.busy` when the wish could only be met by two holders of one volume. */
export function refuseSecondHolder(spec: GroupSpec, instances: readonly EngineInstance[]): void {
  const [volume] = exclusiveVolumes(spec);
  if (volume === undefined) return;
  if (spec.desired > 1) {
    throw new KilnError(
      'volume.busy',
      `${spec.desired} instances of ${spec.group} cannot share the volume ${volume}, which only one may hold.`,
      { next: 'Set instances to 1, or declare the volume shared: true if the app can share it.' },
    );
  }
  const holder = volumeHolders(spec, instances).find((instance) => instance.group !== spec.group);
  if (holder !== undefined && spec.desired > 0) throw volumeBusy(volume, holder);
}

/** Fails with `volume.busy` while any instance of the service lives: it may hold one of its volumes. */
export function refuseRemovalInUse(service: ServiceKey, instances: readonly EngineInstance[]): void {
  const living = instances.find((one) => one.service === service && one.state.kind !== 'ended');
  if (living === undefined) return;
  throw new KilnError('volume.busy', `The volumes of ${service} may be in use: ${living.id} runs.`, {
    next: `Stop ${living.group} first.`,
  });
}

export function volumeBusy(volume: string, holder: EngineInstance): KilnError {
  return new KilnError('volume.busy', `The volume ${volume} is held by ${holder.id}.`, {
    next: `Stop ${holder.group} first: only one instance may hold this volume.`,
    retryable: true,
    details: { holder: holder.id, group: holder.group },
  });
}
