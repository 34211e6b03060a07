/** Looks at component folders for bakes, and remembers what it saw for the next time. */
import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import type { BuildStep, ImageSpec } from '../../domain/component.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import { madeBy, type SourceFacts, sightOf, splitSteps } from './detected-steps.ts';
import { assertLinksStayInside } from './links.ts';
import { isDependencyFolder, matcher, Selection } from './selection.ts';
import { SourceIndexes } from './source-index.ts';
import { type ScannedTree, scanTree } from './source-tree.ts';
import { type KnownEntry, type TreeEntry, withoutImpliedDirectories } from './tree.ts';
import type { WorkerPool } from './worker-pool.ts';

/** What a bake works on, not read yet where nothing is known of it. */
export interface Source {
  readonly root: string;
  readonly steps: readonly BuildStep[];
  readonly facts: SourceFacts;
  readonly selection: Selection;
  /** What the image holds or a step may see; in the order of their paths, directories only when empty. */
  readonly entries: readonly TreeEntry[];
  /** Sockets, pipes and devices. */
  readonly skipped: readonly string[];
  /** What was known before. */
  readonly known: ReadonlyMap<string, TreeEntry>;
  readonly scannedAtMs: number;
}

export interface SourcesOptions {
  readonly pool: WorkerPool;
  readonly clock: Pick<Clock, 'now'>;
  readonly indexDirectory: string;
  /** Never a part of any source, though it may stand in one. */
  readonly stateDirectory: string;
}

const SAVE_AFTER_MS = 500;

export class Sources {
  readonly #options: SourcesOptions;
  readonly #indexes: SourceIndexes;
  /** Indexes are saved when the bake has been answered; closing does it at once. */
  readonly #unsaved = new Set<string>();
  #saving: Promise<void> = Promise.resolve();
  #saveTimer: NodeJS.Timeout | undefined;

  constructor(options: SourcesOptions) {
    this.#options = options;
    this.#indexes = new SourceIndexes(options.indexDirectory);
  }

  /** @param afresh as if nothing were known */
  async look(image: ImageSpec, directory: string, afresh: boolean, signal: AbortSignal): Promise<Source> {
    const { pool, clock, stateDirectory } = this.#options;
    const root = await realpath(directory);
    const steps = splitSteps(image.build);
    const made = [...steps.flatMap(madeBy), ...within(root, stateDirectory)];
    const rules = { include: image.include, exclude: image.exclude, made, keepLitter: false };
    const selection = new Selection(rules);
    const scannedAtMs = clock.now();
    const known = afresh ? new Map<string, TreeEntry>() : await this.#indexes.load(root);
    const tree = await scanTree(root, rules, known, pool, signal);
    const facts = steps.length === 0 ? { packageJson: new Map() } : await sourceFacts(root, tree);
    const entries = withoutImpliedDirectories(wantedEntries(tree.entries, steps, facts, selection));
    assertLinksStayInside(entries);
    return { root, steps, facts, selection, entries, skipped: tree.skipped, known, scannedAtMs };
  }

  /** @param entries the source's, all read now */
  remember({ root, known, scannedAtMs }: Source, entries: readonly KnownEntry[]): void {
    if (entries.length === known.size && entries.every((entry) => known.get(entry.path) === entry)) return;
    this.#indexes.remember(root, entries, scannedAtMs);
    this.#unsaved.add(root);
    this.#saveTimer ??= setTimeout(() => {
      this.#saving = this.#save();
    }, SAVE_AFTER_MS).unref();
  }

  async close(): Promise<void> {
    await this.#save();
  }

  async #save(): Promise<void> {
    await this.#saving;
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    const roots = [...this.#unsaved];
    this.#unsaved.clear();
    for (const root of roots) {
      try {
        await this.#indexes.save(root);
      } catch {
        // A cache, on a full disk perhaps: without it the next server reads the source once more.
      }
    }
  }
}

/** The image's own when no step looks at more; with steps, all that one of them may see. */
function wantedEntries(
  entries: readonly TreeEntry[],
  steps: readonly BuildStep[],
  facts: SourceFacts,
  selection: Selection,
): readonly TreeEntry[] {
  const sights = steps.map((step) => sightOf(step, facts));
  if (sights.some((sight) => sight.kind === 'everything')) return entries;
  const isInput = matcher(sights.flatMap((sight) => (sight.kind === 'inputs' ? sight.inputs : [])));
  return entries.filter((entry) => selection.inImage(entry.path) || isInput(entry.path));
}

async function sourceFacts(root: string, tree: ScannedTree): Promise<SourceFacts> {
  const manifests = tree.entries.filter(
    (entry) =>
      entry.kind === 'file' &&
      (entry.path === 'package.json' || entry.path.endsWith('/package.json')) &&
      !entry.path.split('/').some(isDependencyFolder),
  );
  const packageJson = new Map<string, string>();
  for (const { path: file } of manifests) {
    packageJson.set(file, await readFile(path.join(root, file), 'utf8'));
  }
  return { packageJson };
}

/** The folder as a glob relative to the root, when it stands in there. */
function within(root: string, folder: string): string[] {
  const relative = path.relative(root, folder);
  if (relative === '' || relative.startsWith('..') || path.isAbsolute(relative)) return [];
  return [relative.replace(/[*?[\]{}\\!]/g, '\\$&')];
}
