/** Places where tests boot machines. */
import { execFileSync } from 'node:child_process';
import { FileBlobStore, sha256 } from '../../src/bakery/blobs.ts';
import { MachineTrials } from '../../src/bakery/machine/boot/machine-trials.ts';
import { EngineClient } from '../../src/docker/engine-client.ts';
import { DOCKER_SOCKET, dockerAnswers } from '../docker.ts';
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

/** Containers and images of a Kiln's checks of machines that the engine has now; others use the engine too. */
export function machinesInDocker(state: string): readonly string[] {
  if (!dockerAnswers) return [];
  const docker = (...argv: string[]): string =>
    execFileSync('docker', ['--host', `unix://${DOCKER_SOCKET}`, ...argv], { encoding: 'utf8' });
  const labelled = ['--all', '--filter', 'label=kiln.machine-check', '--format'];
  const found =
    docker('ps', ...labelled, '{{.Label "kiln.machine-check"}}') + docker('images', ...labelled, '{{.Tag}}');
  return found.split('\n').filter((name) => name.startsWith(`trial-${sha256(state).slice(-12)}-`));
}
