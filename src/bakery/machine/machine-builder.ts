/**
 * Bakes machine images: by Packer, or Kiln's own root filesystems.
 *
 * Works on a copy of the component in a folder of its own below the state directory, which is gone when a build
 * returns or fails; `sweep` removes what a crash has left of one.
 */
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineSpec } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import type { Digest } from '../../domain/ids.ts';
import { type Artifact, isStored, storedDigest } from '../../domain/image.ts';
import type {
  BuildDifference,
  Builder,
  BuildNaming,
  BuildPlan,
  BuildProgress,
  BuildRequest,
  BuildResult,
} from '../../domain/ports/builder.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import { namesIn } from '../../files/names-in.ts';
import { endMarked, markedProcesses } from '../../processes/marked-processes.ts';
import { type FileBlobStore, sha256 } from '../blobs.ts';
import { removeOldLogs } from '../build-logs.ts';
import { BUILD_MARK } from '../build-mark.ts';
import { isWholeInBlobs, rootfsArchive } from '../oci-layout.ts';
import { buildRootfs } from './chroot/chroot-build.ts';
import { Rootfs, type RootfsParts } from './chroot/rootfs.ts';
import { compareArchives } from './compare-archives.ts';
import { baseArtifact } from './described-machine.ts';
import { inputKeyOf } from './input-key.ts';
import { buildWithPacker, type PackerHost, packerVersion } from './packer/packer-build.ts';
import { readSource } from './source-copy.ts';

const FOLDER_PREFIX = 'machine-';
const CLEANUP_MS = 15_000;
const POLL_MS = 200;

export interface MachineBuilderOptions {
  readonly blobs: FileBlobStore;
  /** Absolute. */
  readonly stateDirectory: string;
  readonly host: PackerHost;
  readonly clock: Clock;
  /** As images name it: `amd64`, `arm64`. */
  readonly arch: string;
  readonly isRoot: boolean;
  /** Names a temporary folder. */
  readonly randomId: () => string;
}

interface Workplace {
  readonly folder: string;
  readonly source: string;
  /** For sockets, whose paths must be short, wherever the state directory is. */
  readonly sockets: string;
  readonly inputKey: Digest;
  readonly logFile: string;
  readonly mark: string;
}

export class MachineBuilder implements Builder {
  readonly kind = 'machine';
  readonly #options: MachineBuilderOptions;

  constructor(options: MachineBuilderOptions) {
    this.#options = options;
  }

  /** Before the first bake of a server: what the last one left when it was killed. */
  async sweep(): Promise<void> {
    const { stateDirectory } = this.#options;
    const mark = machineMark(stateDirectory, '');
    // Packer was told to stop when the server died, and may still be taking down what it had begun.
    const deadline = performance.now() + CLEANUP_MS;
    while ((await markedProcesses(BUILD_MARK, mark)).length > 0 && performance.now() < deadline)
      await sleep(POLL_MS);
    await endMarked(BUILD_MARK, mark);
    const folder = path.join(stateDirectory, 'tmp');
    for (const name of await namesIn(tmpdir())) {
      if (name.startsWith(this.#socketsPrefix))
        await rm(path.join(tmpdir(), name), { recursive: true, force: true });
    }
    for (const name of await namesIn(folder)) {
      if (!name.startsWith(FOLDER_PREFIX)) continue;
      await mkdir(this.#logs, { recursive: true, mode: 0o700 });
      await new Rootfs(this.#rootfsParts(name, () => undefined)).remove();
    }
  }

  async plan(request: BuildRequest, signal: AbortSignal): Promise<BuildPlan> {
    const root = await realpath(request.directory);
    return { inputKey: await this.#inputKey(request, await this.#read(root, undefined, signal)) };
  }

  build(
    request: BuildRequest,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
    naming: BuildNaming = this.#unnamed(request),
  ): Promise<BuildResult> {
    return this.#inFolder(request, signal, async (place) => ({
      inputKey: place.inputKey,
      artifacts: await this.#make(request, place, naming, onProgress, signal),
    }));
  }

  /** Only what is kept here can be compared. */
  async verify(
    request: BuildRequest,
    artifact: Artifact,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<readonly BuildDifference[]> {
    const { blobs } = this.#options;
    const before = await blobs.path(await rootfsArchive(blobs, storedDigest(artifact)));
    const { artifacts } = await this.build(request, onProgress, signal);
    const again = artifacts.filter(isStored).find((one) => one.arch === artifact.arch);
    if (again === undefined || again.digest === artifact.digest) return [];
    return compareArchives(before, await blobs.path(await rootfsArchive(blobs, again.digest)));
  }

  /** What a provider keeps is taken to be there: it is asked when it is used. */
  async isWhole(artifact: Artifact): Promise<boolean> {
    return !isStored(artifact) || isWholeInBlobs(this.#options.blobs, artifact.digest);
  }

  async close(): Promise<void> {
    // Builds end with their bakes; nothing is kept open between them.
  }

  async #make(
    request: BuildRequest,
    place: Workplace,
    naming: BuildNaming,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<readonly Artifact[]> {
    const { arch, blobs, host } = this.#options;
    const spec = specOf(request);
    if (spec.kind === 'template' || spec.builder !== 'chroot') {
      return buildWithPacker({ ...place, host, spec, request, naming, arch, blobs, onProgress, signal });
    }
    const artifacts: Artifact[] = [];
    for (const one of spec.architectures) {
      const onLine = (line: string): void => onProgress({ kind: 'output', line });
      const parts = this.#rootfsParts(`${path.basename(place.folder)}-${one}`, onLine);
      const foundation = await this.#foundation(request, one);
      const { source } = place;
      artifacts.push(
        ...(await buildRootfs({ spec, arch: one, foundation, source, parts, blobs, onProgress, signal })),
      );
    }
    return artifacts;
  }

  async #foundation(request: BuildRequest, arch: string): Promise<string | undefined> {
    if (request.base === undefined) return undefined;
    const { blobs } = this.#options;
    const artifact = baseArtifact(
      request,
      `root filesystem for ${arch}`,
      (one) => isStored(one) && one.kind === 'machine' && one.arch === arch,
    );
    return blobs.path(await rootfsArchive(blobs, storedDigest(artifact)));
  }

  async #inputKey(request: BuildRequest, source: Digest): Promise<Digest> {
    const spec = specOf(request);
    const isOwn = spec.kind === 'described' && spec.builder === 'chroot';
    const tool = isOwn ? 'mmdebstrap' : await packerVersion(this.#options.host.searchPath);
    return inputKeyOf({ definition: request.definition, source, base: request.base, tool });
  }

  #read(root: string, destination: string | undefined, signal: AbortSignal): Promise<Digest> {
    return readSource(root, this.#options.stateDirectory, destination, signal);
  }

  async #inFolder<Result>(
    request: BuildRequest,
    signal: AbortSignal,
    work: (place: Workplace) => Promise<Result>,
  ): Promise<Result> {
    const { stateDirectory } = this.#options;
    const name = `${FOLDER_PREFIX}${this.#options.randomId()}`;
    const folder = path.join(stateDirectory, 'tmp', name);
    const source = path.join(folder, 'source');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await mkdir(this.#logs, { recursive: true, mode: 0o700 });
    await removeOldLogs(this.#logs);
    const sockets = await mkdtemp(path.join(tmpdir(), this.#socketsPrefix));
    try {
      const inputKey = await this.#inputKey(
        request,
        await this.#read(await realpath(request.directory), source, signal),
      );
      return await work({
        folder,
        source,
        sockets,
        inputKey,
        logFile: this.#log(name),
        mark: machineMark(stateDirectory, name),
      });
    } finally {
      await rm(sockets, { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true });
    }
  }

  #rootfsParts(name: string, onLine: (line: string) => void): RootfsParts {
    const { host, isRoot, stateDirectory } = this.#options;
    return {
      folder: path.join(stateDirectory, 'tmp', name),
      logFile: this.#log(name),
      mark: machineMark(stateDirectory, name),
      searchPath: host.searchPath,
      network: host.network,
      isRoot,
      onLine,
    };
  }

  /** Tells the folders of this state directory from those of others. */
  get #socketsPrefix(): string {
    return `kiln-${sha256(this.#options.stateDirectory).slice(-12)}-`;
  }

  get #logs(): string {
    return path.join(this.#options.stateDirectory, 'logs', 'bakes');
  }

  #log(name: string): string {
    return path.join(this.#logs, `${name}.log`);
  }

  #unnamed({ definition }: BuildRequest): BuildNaming {
    const version = definition.version ?? '0.0.0';
    const { component } = definition;
    return { version, tags: { component, version }, atMs: this.#options.clock.now() };
  }
}

/** Unlike that of bundles: what Packer has begun elsewhere, it takes down by itself when Kiln dies, if it is let. */
function machineMark(stateDirectory: string, name: string): string {
  return `${stateDirectory}!${name}`;
}

function specOf({ definition }: BuildRequest): MachineSpec {
  const { machine } = definition.image;
  if (machine !== undefined) return machine;
  throw new KilnError(
    'input.invalid',
    `${definition.component} does not say how its machine image is made.`,
    {
      next: 'Write image.machine in kiln.yaml.',
    },
  );
}
