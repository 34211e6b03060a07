/**
 * Runs the build steps of one bake over a tree, in clean copies, never in the author's folder.
 *
 * A step that names its inputs runs in an empty folder with these and with what earlier steps made, and what it makes
 * is kept by the key of all that. Any other step sees the whole tree as it then is, and is run each time.
 */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { BuildStep } from '../../domain/component.ts';
import type { Digest } from '../../domain/ids.ts';
import type { BuildProgress } from '../../domain/ports/builder.ts';
import { sha256 } from '../blobs.ts';
import type { BuildCommands } from './build-command.ts';
import type { ToolVersions } from './build-tools.ts';
import { packColumns } from './columns.ts';
import { type SourceFacts, sightOf } from './detected-steps.ts';
import { BUILDER_VERSION, sortedPairs } from './input-key.ts';
import { allSettledOrThrow, type LayerStore } from './layer-store.ts';
import { divideIntoLayers } from './layers.ts';
import { matcher } from './selection.ts';
import { scanTree } from './source-tree.ts';
import type { StepOutcome, StepRecords } from './step-records.ts';
import { entryLine, isKnown, type KnownEntry, sortByPath, withoutImpliedDirectories } from './tree.ts';
import type { WorkerPool } from './worker-pool.ts';

export interface BuildTools {
  readonly pool: WorkerPool;
  readonly layers: LayerStore;
  readonly commands: BuildCommands;
  readonly versions: ToolVersions;
  /** Undefined: every step is run, and nothing is kept. */
  readonly records: StepRecords | undefined;
  readonly now: () => number;
}

export interface BuildRunRequest {
  readonly steps: readonly BuildStep[];
  readonly environment: Readonly<Record<string, string>>;
  readonly facts: SourceFacts;
  readonly arch: string;
  /** Its own, empty, removed by the caller when the image is packed: entries may stand there. */
  readonly folder: string;
  /** What keeps downloads between bakes. */
  readonly downloads: string;
  readonly state: string;
  readonly mark: string;
  readonly logFile: string;
}

/** Everything that a whole run leaves of a folder; nothing is filtered but version control. */
const ALL = { include: [], exclude: [], made: [], keepLitter: true };

export class BuildRun {
  readonly #tools: BuildTools;
  readonly #request: BuildRunRequest;
  readonly #onProgress: (progress: BuildProgress) => void;
  readonly #signal: AbortSignal;
  #tree: Map<string, KnownEntry>;
  /** Paths that steps have made or changed so far. */
  readonly #built = new Set<string>();
  /** Where the whole tree stands on disk, as long as nothing else has changed it. */
  #whole: string | undefined;
  #folders = 0;

  constructor(
    tools: BuildTools,
    request: BuildRunRequest,
    source: readonly KnownEntry[],
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ) {
    this.#tools = tools;
    this.#request = request;
    this.#onProgress = onProgress;
    this.#signal = signal;
    this.#tree = new Map(source.map((entry) => [entry.path, entry]));
  }

  /** The tree after all steps, and which of its paths steps have made. */
  async finish(): Promise<{ entries: readonly KnownEntry[]; built: ReadonlySet<string> }> {
    for (const step of this.#request.steps) {
      const sight = sightOf(step, this.#request.facts);
      if (sight.kind === 'inputs') await this.#narrowStep(step, sight.inputs, sight.outputs);
      else await this.#wholeStep(step, sight.why);
    }
    return { entries: sortByPath([...this.#tree.values()]), built: this.#built };
  }

  async #narrowStep(
    step: BuildStep,
    inputs: readonly string[],
    outputs: readonly string[] | undefined,
  ): Promise<void> {
    const isInput = matcher(inputs);
    const seen = sortByPath([...this.#tree.values()]).filter(
      (entry) => this.#built.has(entry.path) || isInput(entry.path),
    );
    const key = await this.#keyOf(step, seen);
    const { records } = this.#tools;
    let outcome = await records?.find(key, this.#tools.now());
    if (outcome !== undefined) {
      this.#stage('cached', step.run);
    } else {
      outcome = await this.#runNarrow(step, seen, outputs);
      if (records !== undefined) await this.#keep(records, key, outcome);
    }
    this.#whole = undefined;
    for (const removed of outcome.removed) this.#forget(removed);
    for (const entry of outcome.entries) {
      this.#tree.set(entry.path, entry);
      this.#built.add(entry.path);
    }
  }

  async #keyOf(step: BuildStep, seen: readonly KnownEntry[]): Promise<Digest> {
    const versions = await this.#tools.versions.of([step.run], this.#signal);
    return sha256(
      JSON.stringify([
        BUILDER_VERSION,
        step.run,
        step.outputs ?? null,
        sortedPairs(this.#request.environment),
        sortedPairs(versions),
        this.#request.arch,
        this.#tools.layers.memberships.ofTree(withoutImpliedDirectories(seen).filter(isKnown)),
      ]),
    );
  }

  async #runNarrow(
    step: BuildStep,
    seen: readonly KnownEntry[],
    outputs: readonly string[] | undefined,
  ): Promise<StepOutcome> {
    const folder = await this.#freshFolder();
    await this.#copyTo(folder, seen);
    await this.#runCommand(step, folder);
    const after = await this.#look(folder);
    const before = new Map(seen.map((entry) => [entry.path, entryLine(entry)]));
    const isOutput = outputs === undefined ? () => true : matcher(outputs);
    const entries = after.filter(
      (entry) => isOutput(entry.path) && before.get(entry.path) !== entryLine(entry),
    );
    const left = new Set(after.map((entry) => entry.path));
    const removed = [...this.#built].filter((built) => !left.has(built));
    return { entries, removed };
  }

  async #keep(records: StepRecords, key: Digest, outcome: StepOutcome): Promise<void> {
    const kept = withoutImpliedDirectories(outcome.entries);
    const layers = await this.#tools.layers.ensureAll(divideIntoLayers(kept), this.#signal);
    await records.save(key, layers, outcome.removed);
  }

  async #wholeStep(step: BuildStep, why: string): Promise<void> {
    this.#stage('not cached', `${step.run}: ${why}`);
    if (this.#whole === undefined) {
      this.#whole = await this.#freshFolder();
      await this.#copyTo(this.#whole, [...this.#tree.values()]);
    }
    await this.#runCommand(step, this.#whole);
    const before = this.#tree;
    this.#tree = new Map();
    for (const entry of await this.#look(this.#whole)) {
      this.#tree.set(entry.path, entry);
      const old = before.get(entry.path);
      if (old === undefined || entryLine(old) !== entryLine(entry)) this.#built.add(entry.path);
    }
    for (const built of this.#built) if (!this.#tree.has(built)) this.#built.delete(built);
  }

  async #runCommand(step: BuildStep, app: string): Promise<void> {
    this.#stage('build', step.run);
    const { folder, downloads, state, mark, logFile, environment } = this.#request;
    const folders = { app, home: path.join(folder, 'home'), downloads, state };
    await this.#tools.commands.run(
      { command: step.run, timeoutMs: step.timeoutMs, folders, environment, mark, logFile },
      (line) => this.#onProgress({ kind: 'output', line }),
      this.#signal,
    );
  }

  async #copyTo(folder: string, entries: readonly KnownEntry[]): Promise<void> {
    const count = this.#tools.pool.threads;
    const sorted = sortByPath(entries);
    const size = Math.max(64, Math.ceil(sorted.length / (count * 4)));
    const batches: KnownEntry[][] = [];
    for (let at = 0; at < sorted.length; at += size) batches.push(sorted.slice(at, at + size));
    await allSettledOrThrow(
      batches.map((batch) =>
        this.#tools.pool.run(
          {
            kind: 'copy',
            columns: packColumns(batch, ''),
            contentHashes: batch.map((entry) => entry.contentHash).join(' '),
            destination: folder,
          },
          this.#signal,
        ),
      ),
    );
  }

  async #look(folder: string): Promise<KnownEntry[]> {
    const { entries, skipped } = await scanTree(folder, ALL, new Map(), this.#tools.pool, this.#signal);
    for (const special of skipped) this.#stage('skipped', `${special} is a socket, pipe or device`);
    return this.#tools.layers.hash(entries, this.#signal);
  }

  async #freshFolder(): Promise<string> {
    this.#folders += 1;
    const folder = path.join(this.#request.folder, `tree-${this.#folders}`);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o755 });
    return folder;
  }

  #forget(entryPath: string): void {
    this.#tree.delete(entryPath);
    this.#built.delete(entryPath);
  }

  #stage(name: string, detail: string): void {
    this.#onProgress({ kind: 'stage', name, detail });
  }
}
