/**
 * Gives each check of a machine image its place, in Docker where an engine answers and in namespaces where none does,
 * and takes it away again. The place has a folder from before it is made until after it has gone, so that what a crash
 * cuts off is found by the next server.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { EngineClient } from '../../../docker/engine-client.ts';
import { KilnError } from '../../../domain/errors.ts';
import { type Image, isStored, type StoredArtifact } from '../../../domain/image.ts';
import type { Clock } from '../../../domain/ports/clock.ts';
import { namesIn } from '../../../files/names-in.ts';
import { type FileBlobStore, sha256 } from '../../blobs.ts';
import { isRootfs, rootfsArchive } from '../../oci-layout.ts';
import type { MachineRoom } from './booted-machine.ts';
import { type BubblewrapParts, BubblewrapRoom, removeUnpackedMachines } from './bubblewrap-room.ts';
import { DockerRoom, removeMachines } from './docker-room.ts';
import { MachineTrial, type MachineTrialParts } from './machine-trial.ts';

const PREFIX = 'trial-';
const OWNER_LENGTH = 12;
/** In a room's folder: something of it may be in the engine. */
const IN_DOCKER = 'docker';

export interface MachineTrialsParts {
  readonly blobs: FileBlobStore;
  /** Absolute. */
  readonly stateDirectory: string;
  readonly client: EngineClient;
  /** PATH of the programs that unpack root filesystems and make namespaces. */
  readonly searchPath: string;
  readonly isRoot: boolean;
  /** What this machine can run, as images name it. */
  readonly arch: string;
  readonly clock: Clock;
  /** In lower case. */
  readonly newId: () => string;
}

export class MachineTrials {
  readonly #parts: MachineTrialsParts;

  constructor(parts: MachineTrialsParts) {
    this.#parts = parts;
  }

  /** The form of the image that can be booted here; fails with `target.unsupported` where none can. */
  async bootable(image: Image): Promise<StoredArtifact> {
    const { arch, blobs } = this.#parts;
    for (const artifact of image.artifacts.filter(isStored)) {
      if (artifact.kind !== 'machine' || artifact.arch !== arch) continue;
      if (await isRootfs(blobs, artifact.digest)) return artifact;
    }
    const has = image.artifacts.map(({ kind, provider, region = '', arch: of }) =>
      [kind, provider, region, of].filter((part) => part !== '').join(' '),
    );
    throw new KilnError(
      'target.unsupported',
      `${image.component}@${image.version} cannot be booted here: it is there as ${has.join(', ') || 'nothing'}.`,
      {
        next: `Let it be made as a root filesystem for ${arch} too, such as by a docker builder beside the others in a Packer template.`,
      },
    );
  }

  /** Calls `work` with a place of its own, which is gone when this returns or fails. */
  async in<Result>(
    { isIdle }: Pick<MachineTrialParts, 'isIdle'>,
    work: (trial: MachineTrial) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const { blobs, clock, newId, stateDirectory } = this.#parts;
    // By its name it can be told, in the engine, whose it is.
    const name = `${PREFIX}${sha256(stateDirectory).slice(-OWNER_LENGTH)}-${newId()}`;
    const folder = this.#folder(name);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const trial = new MachineTrial({
      room: await this.#room(name, signal),
      archiveOf: async (artifact) => blobs.path(await rootfsArchive(blobs, artifact)),
      clock,
      isIdle,
    });
    try {
      return await work(trial);
    } finally {
      await trial.close();
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Before the first check of a server: what the last one left when it was killed. */
  async sweep(): Promise<void> {
    const { client, stateDirectory } = this.#parts;
    for (const name of await namesIn(path.join(stateDirectory, 'tmp'))) {
      if (!name.startsWith(PREFIX)) continue;
      try {
        if ((await namesIn(this.#folder(name))).includes(IN_DOCKER)) await removeMachines(client, name);
      } catch (error) {
        // The engine is away: its folder stays, and the next server asks again.
        if (error instanceof KilnError && error.code === 'target.unavailable') continue;
        throw error;
      }
      await removeUnpackedMachines(this.#bubblewrapParts(name));
    }
  }

  close(): void {
    this.#parts.client.close();
  }

  async #room(name: string, signal: AbortSignal): Promise<MachineRoom> {
    const { client } = this.#parts;
    const folder = this.#folder(name);
    try {
      await client.ping(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof KilnError && error.code === 'target.unavailable')) throw error;
      return new BubblewrapRoom(this.#bubblewrapParts(name));
    }
    await writeFile(path.join(folder, IN_DOCKER), '', { mode: 0o600 });
    return new DockerRoom({ client, name, folder });
  }

  #bubblewrapParts(name: string): BubblewrapParts {
    const { isRoot, searchPath, stateDirectory } = this.#parts;
    // What still runs of it when a server begins is ended with the builds of the last one.
    return { folder: this.#folder(name), mark: `${stateDirectory}!${name}`, searchPath, network: {}, isRoot };
  }

  #folder(name: string): string {
    return path.join(this.#parts.stateDirectory, 'tmp', name);
  }
}
