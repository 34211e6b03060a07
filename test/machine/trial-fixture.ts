/** Places where tests boot machines. */
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { MachineTrials } from '../../src/bakery/machine/boot/machine-trials.ts';
import { EngineClient } from '../../src/docker/engine-client.ts';
import { clock } from '../e2e/bake-fixture.ts';

export function trialsAt(state: string, socket: string): MachineTrials {
  return new MachineTrials({
    blobs: new FileBlobStore(`${state}/blobs`),
    stateDirectory: state,
    client: new EngineClient(socket),
    searchPath: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
    isRoot: process.getuid?.() === 0,
    arch: 'amd64',
    clock,
    newId: () => crypto.randomUUID(),
  });
}
