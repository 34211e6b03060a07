/**
 * Bakes bundles: looks at the source, runs the build steps whose inputs changed, packs the layers that changed.
 *
 * What `plan` has found is kept for the `build` of the same request. Without build steps `plan` makes the layers
 * already: to know the inputs is to read them, and they are read only once.
 */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import type { Digest } from '../../domain/ids.ts';
import { type Artifact, storedDigest } from '../../domain/image.ts';
import type {
  BuildDifference,
  Builder,
  BuildPlan,
  BuildProgress,
  BuildRequest,
  BuildResult,
} from '../../domain/ports/builder.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { FileBlobStore } from '../blobs.ts';
import { removeOldLogs } from '../build-logs.ts';
import { isWholeInBlobs, writeManifest } from '../oci-layout.ts';
import { BuildCommands, type BuildHost } from './build-command.ts';
import { BuildRun } from './build-run.ts';
import { ToolVersions } from './build-tools.ts';
import { compareTrees } from './compare.ts';
import { ImageTrees } from './image-tree.ts';
import { inputKeyOf } from './input-key.ts';
import { LayerStore, type StoredLayer } from './layer-store.ts';
import { divideIntoLayers } from './layers.ts';
import { assertLinksStayInside } from './links.ts';
import { type Source, Sources } from './sources.ts';
import { StepRecords } from './step-records.ts';
import { isKnown, type KnownEntry, sortByPath, type TreeEntry, withoutImpliedDirectories } from './tree.ts';
import type { WorkerPool } from './worker-pool.ts';

export interface BundleBuilderOptions {
  readonly blobs: FileBlobStore;
  readonly pool: WorkerPool;
  /** Absolute; caches, temporary folders and logs are kept there, beside the blobs. */
  readonly stateDirectory: string;
  readonly host: BuildHost;
  readonly clock: Pick<Clock, 'now'>;
  /** As images name it: `amd64`, `arm64`. */
  readonly arch: string;
  /** Names a temporary folder. */
  readonly randomId: () => string;
}

/** What `plan` finds out. */
interface Prepared {
  readonly source: Source;
  /** The source's, all read; in the order of their paths. */
  readonly entries: readonly KnownEntry[];
  readonly inputKey: Digest;
  /** Made already when there are no build steps. */
  readonly layers: readonly StoredLayer[] | undefined;
}

export class BundleBuilder implements Builder {
  readonly kind = 'bundle';
  readonly #options: BundleBuilderOptions;
  readonly #layers: LayerStore;
  readonly #sources: Sources;
  readonly #records: StepRecords;
  readonly #commands: BuildCommands;
  readonly #versions: ToolVersions;
  readonly #images: ImageTrees;
  readonly #prepared = new WeakMap<BuildRequest, Prepared>();

  constructor(options: BundleBuilderOptions) {
    const { blobs, pool, stateDirectory } = options;
    const cache = path.join(stateDirectory, 'cache');
    this.#options = options;
    this.#layers = new LayerStore(blobs, pool, path.join(cache, 'layers'));
    const indexDirectory = path.join(cache, 'sources');
    this.#sources = new Sources({ pool, clock: options.clock, indexDirectory, stateDirectory });
    this.#records = new StepRecords(path.join(cache, 'steps'), blobs);
    this.#commands = new BuildCommands(options.host);
    this.#versions = new ToolVersions(options.host.searchPath);
    this.#images = new ImageTrees(blobs, pool, this.#layers);
  }

  async plan(request: BuildRequest, signal: AbortSignal): Promise<BuildPlan> {
    const prepared = await onceAgainWhenChanged(() => this.#prepare(request, signal));
    this.#prepared.set(request, prepared);
    return { inputKey: prepared.inputKey };
  }

  async build(
    request: BuildRequest,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<BuildResult> {
    return onceAgainWhenChanged(async () => {
      const prepared = this.#prepared.get(request) ?? (await this.#prepare(request, signal));
      this.#prepared.delete(request);
      reportSkipped(prepared.source.skipped, onProgress);
      const layers = prepared.layers ?? (await this.#buildLayers(request, prepared, onProgress, signal));
      reportLayers(layers, onProgress);
      return { inputKey: prepared.inputKey, artifacts: [await this.#artifact(layers)] };
    });
  }

  async verify(
    request: BuildRequest,
    artifact: Artifact,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<readonly BuildDifference[]> {
    const again = await onceAgainWhenChanged(async () => {
      const prepared = await this.#prepare(request, signal, { afresh: true });
      if (prepared.source.steps.length === 0) return prepared.entries;
      return this.#inFolder((folder) => this.#run(request, prepared, folder, true, onProgress, signal));
    });
    const digest = storedDigest(artifact);
    onProgress({ kind: 'stage', name: 'compare', detail: digest });
    const before = await this.#images.read(digest, signal);
    return compareTrees(before, (await this.#onBase(request, again, signal)).filter(isKnown));
  }

  isWhole(artifact: Artifact): Promise<boolean> {
    return isWholeInBlobs(this.#options.blobs, storedDigest(artifact));
  }

  /** Layers that cached steps stand on, of steps used since then; older ones are forgotten. */
  cachedLayers(sinceMs: number): Promise<ReadonlySet<Digest>> {
    return this.#records.layersUsedSince(sinceMs);
  }

  async close(): Promise<void> {
    await this.#sources.close();
    await this.#options.pool.close();
  }

  async #prepare(
    request: BuildRequest,
    signal: AbortSignal,
    { afresh } = { afresh: false },
  ): Promise<Prepared> {
    const { image } = request.definition;
    const source = await this.#sources.look(image, request.directory, afresh, signal);
    const packs = source.steps.length === 0 && !afresh;
    const layers = packs ? await this.#packed(request, source.entries, signal) : undefined;
    const entries =
      layers === undefined || request.base !== undefined
        ? await this.#layers.hash(source.entries, signal)
        : sortByPath(layers.flatMap((layer) => layer.entries));
    if (!afresh) this.#sources.remember(source, entries);
    const commands = source.steps.map((step) => step.run);
    const inputKey = inputKeyOf({
      definition: { ...request.definition, image: { ...image, build: source.steps } },
      source: this.#layers.memberships.ofTree(entries),
      base: baseDigest(request),
      tools: await this.#versions.of(commands, signal),
      arch: this.#options.arch,
    });
    return { source, entries, inputKey, layers };
  }

  async #packed(
    request: BuildRequest,
    entries: readonly TreeEntry[],
    signal: AbortSignal,
  ): Promise<StoredLayer[]> {
    return this.#layers.ensureAll(divideIntoLayers(await this.#onBase(request, entries, signal)), signal);
  }

  /** A base's files lie beneath the component's own. */
  async #onBase(
    request: BuildRequest,
    entries: readonly TreeEntry[],
    signal: AbortSignal,
  ): Promise<readonly TreeEntry[]> {
    const base = baseDigest(request);
    if (base === undefined) return entries;
    const merged = new Map<string, TreeEntry>();
    for (const entry of await this.#images.read(base, signal)) merged.set(entry.path, entry);
    for (const entry of entries) merged.set(entry.path, entry);
    return withoutImpliedDirectories(sortByPath([...merged.values()]));
  }

  async #buildLayers(
    request: BuildRequest,
    prepared: Prepared,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<StoredLayer[]> {
    return this.#inFolder(async (folder) => {
      const entries = await this.#run(request, prepared, folder, false, onProgress, signal);
      return this.#packed(request, entries, signal);
    });
  }

  /** The image's own entries after all build steps. */
  async #run(
    request: BuildRequest,
    prepared: Prepared,
    folder: string,
    afresh: boolean,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<KnownEntry[]> {
    const { pool, stateDirectory, clock, arch } = this.#options;
    const run = new BuildRun(
      {
        pool,
        layers: this.#layers,
        commands: this.#commands,
        versions: this.#versions,
        records: afresh ? undefined : this.#records,
        now: () => clock.now(),
      },
      {
        steps: prepared.source.steps,
        environment: request.definition.image.buildEnvironment,
        facts: prepared.source.facts,
        arch,
        folder,
        downloads: afresh ? path.join(folder, 'downloads') : path.join(stateDirectory, 'cache', 'downloads'),
        state: stateDirectory,
        mark: `${stateDirectory}#${path.basename(folder)}#`,
        logFile: path.join(stateDirectory, 'logs', 'bakes', `${path.basename(folder)}.log`),
      },
      prepared.entries,
      onProgress,
      signal,
    );
    const { entries, built } = await run.finish();
    const { selection } = prepared.source;
    const chosen = entries.filter(
      (entry) =>
        selection.inImage(entry.path) && !(built.has(entry.path) && selection.isBuiltLitter(entry.path)),
    );
    const image = withoutImpliedDirectories(chosen).filter(isKnown);
    assertLinksStayInside(image);
    return image;
  }

  async #inFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
    const folder = path.join(this.#options.stateDirectory, 'tmp', `bake-${this.#options.randomId()}`);
    const logs = path.join(this.#options.stateDirectory, 'logs', 'bakes');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await mkdir(logs, { recursive: true, mode: 0o700 });
    await removeOldLogs(logs);
    try {
      return await work(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #artifact(layers: readonly StoredLayer[]): Promise<Artifact> {
    const descriptors = layers.map((layer) => layer.descriptor);
    return {
      kind: 'bundle',
      provider: 'local',
      arch: this.#options.arch,
      digest: await writeManifest(this.#options.blobs, descriptors),
      sizeBytes: descriptors.reduce((sum, descriptor) => sum + descriptor.sizeBytes, 0),
    };
  }
}

function reportSkipped(skipped: readonly string[], onProgress: (progress: BuildProgress) => void): void {
  for (const special of skipped) {
    onProgress({ kind: 'stage', name: 'skipped', detail: `${special} is a socket, pipe or device` });
  }
}

function reportLayers(layers: readonly StoredLayer[], onProgress: (progress: BuildProgress) => void): void {
  const written = layers.filter((layer) => !layer.reused);
  const bytes = written.reduce((sum, layer) => sum + layer.descriptor.sizeBytes, 0);
  const detail = `${written.length} of ${layers.length} layers written, ${(bytes / 1024 / 1024).toFixed(1)} MiB`;
  onProgress({ kind: 'stage', name: 'packed', detail });
}

/** Somebody saved a file while we read: once is usual, twice means that something writes there all the time. */
async function onceAgainWhenChanged<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof KilnError && error.code === 'source.changed')) throw error;
    return work();
  }
}

/** Undefined: it stands on nothing. */
function baseDigest({ base, definition }: BuildRequest): Digest | undefined {
  if (base === undefined) return undefined;
  const bundle = base.artifacts.find((artifact) => artifact.kind === 'bundle');
  if (bundle !== undefined) return storedDigest(bundle);
  throw new KilnError('input.invalid', `The base ${definition.image.base} has no bundle to stand on.`, {
    next: 'Name a component as `image.base` whose images are bundles.',
  });
}
