/** The bakery with its builders, and the blobs that it keeps. */
import { randomBytes, randomUUID } from 'node:crypto';
import { rmdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Bakery } from '../bakery/bakery.ts';
import { FileBlobStore } from '../bakery/blobs.ts';
import { Baker } from '../bakery/bundle/baker.ts';
import { ContainerBuilder } from '../bakery/container/container-builder.ts';
import { readGitFacts } from '../bakery/git-facts.ts';
import { MachineBuilder } from '../bakery/machine/machine-builder.ts';
import { readComponent } from '../component/read.ts';
import { EngineClient } from '../docker/engine-client.ts';
import type { Store } from '../domain/ports/store.ts';
import type { TARGETS } from '../targets/registry.ts';
import { ARCH, type Building } from './building.ts';
import { machineToolsPath } from './machine-checks.ts';
import { systemClock } from './system-clock.ts';

const BAKE_THREADS = 2;
const BAKER_IDLE_MS = 120_000;

export type Unpack = Parameters<(typeof TARGETS)[string]>[0]['unpack'];

export async function buildBakery(
  { settings, entries, state, closers }: Building,
  store: Store,
): Promise<{ bakery: Bakery; blobs: FileBlobStore; unpack: Unpack }> {
  const blobs = new FileBlobStore(state.file('blobs'));
  const builder = new Baker({
    blobs,
    entry: entries.baker,
    workerEntry: entries.bakeWorker,
    threads: BAKE_THREADS,
    idleMs: BAKER_IDLE_MS,
    stateDirectory: state.path,
    host: { searchPath: settings.path, network: settings.buildNetwork, bwrap: settings.bwrap },
    arch: ARCH,
    randomId: () => randomBytes(6).toString('hex'),
  });
  closers.push(() => builder.close());
  const containers = new ContainerBuilder({
    client: new EngineClient(settings.dockerSocket),
    blobs,
    stateDirectory: state.path,
    randomId: randomUUID,
    grants: settings.builds,
  });
  const machines = new MachineBuilder({
    blobs,
    stateDirectory: state.path,
    host: {
      searchPath: machineToolsPath(settings),
      network: settings.buildNetwork,
      ...settings.providers,
    },
    clock: systemClock,
    arch: ARCH,
    isRoot: process.getuid?.() === 0,
    randomId: randomUUID,
  });
  const bakery = new Bakery({
    store,
    blobs,
    builders: [builder, containers, machines],
    clock: systemClock,
    stateDirectory: state.path,
    origin: { server: state.id, host: hostname() },
    readDefinition: async (directory) => {
      builder.prepare();
      return (await readComponent(directory)).definition;
    },
    readGitFacts,
    cachedLayers: (sinceMs) => builder.cachedLayers(sinceMs),
    randomId: randomUUID,
  });
  await bakery.sweep();
  await machines.sweep();
  closers.push(() => bakery.close());
  return { bakery, blobs, unpack: unpackInto(builder) };
}

/** The bakery makes the directory itself, in one step when all is there. */
function unpackInto(builder: Baker): Unpack {
  return async (digest, directory, signal) => {
    await rmdir(directory);
    await builder.unpack(digest, directory, signal);
  };
}
