import { randomUUID } from 'node:crypto';
import type { FileBlobStore } from '../bakery/blobs.ts';
import { MachineTrials } from '../bakery/machine/boot/machine-trials.ts';
import { EngineClient } from '../docker/engine-client.ts';
import type { Settings } from '../settings.ts';
import { systemClock } from './system-clock.ts';

/** Where machine images are booted for their checks. */
export function machineTrials(
  settings: Settings,
  stateDirectory: string,
  blobs: FileBlobStore,
  arch: string,
): MachineTrials {
  return new MachineTrials({
    blobs,
    stateDirectory,
    client: new EngineClient(settings.dockerSocket),
    searchPath: machineToolsPath(settings),
    isRoot: process.getuid?.() === 0,
    arch,
    clock: systemClock,
    newId: randomUUID,
  });
}

/** Tools that make file systems and namespaces are where administrators find them. */
export function machineToolsPath({ path: searchPath }: Settings): string {
  return `${searchPath}:/usr/local/sbin:/usr/sbin:/sbin`;
}
