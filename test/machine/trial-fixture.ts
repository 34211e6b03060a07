/** Places where tests boot machines. */
import { execFileSync } from 'node:child_process';
import { FileBlobStore, sha256 } from '../../src/bakery/blobs.ts';
import { MachineTrials } from '../../src/bakery/machine/boot/machine-trials.ts';
import { EngineClient } from '../../src/docker/engine-client.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { DOCKER_SOCKET, dockerAnswers } from '../docker.ts';

export function trialsAt(state: string, socket: string): MachineTrials {
  return new MachineTrials({
    blobs: new FileBlobStore(`${state}/blobs`),
    stateDirectory: state,
    client: new EngineClient(socket),
    searchPath: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
    isRoot: process.getuid?.() === 0,
    arch: 'amd64',
    clock: systemClock,
    newId: () => crypto.randomUUID(),
  });
}

/** Containers and images of a Kiln's checks of machines that the engine has now; others use the engine too. */
export function machinesInDocker(state: string): readonly string[] {
  if (!dockerAnswers) return [];
  const labelled = ['--all', '--filter', 'label=kiln.machine-check', '--format'];
  const found =
    docker('ps', ...labelled, '{{.Label "kiln.machine-check"}}') + docker('images', ...labelled, '{{.Tag}}');
  return ownNames(state, found);
}

/** Those that have been started and run. */
export function runningMachines(state: string): readonly string[] {
  const format = ['--format', '{{.Label "kiln.machine-check"}}'];
  const filter = ['--filter', 'label=kiln.machine-check', '--filter', 'status=running'];
  return ownNames(state, docker('ps', ...filter, ...format));
}

function ownNames(state: string, names: string): readonly string[] {
  return names.split('\n').filter((name) => name.startsWith(`trial-${sha256(state).slice(-12)}-`));
}

function docker(...argv: string[]): string {
  return execFileSync('docker', ['--host', `unix://${DOCKER_SOCKET}`, ...argv], { encoding: 'utf8' });
}
