/** Looks at every file of a tree without reading any. Runs in worker threads, where synchronous calls are fastest. */
import { type Dirent, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { KilnError } from '../../domain/errors.ts';
import { isDependencyFolder, Selection, type WalkState } from './selection.ts';
import type { ScanResult, ScanTask, StopFlag } from './tasks.ts';

const REPLACEMENT = '\ufffd';
const KIND = { file: 0, symlink: 1, directory: 2 } as const;

export function scan(task: ScanTask, stop: StopFlag): ScanResult {
  const walk = new Walk(task, stop);
  for (const unit of task.units) walk.unit(unit);
  return walk.result();
}

class Walk {
  readonly #root: string;
  readonly #selection: Selection;
  readonly #stop: StopFlag;
  readonly #paths: string[] = [];
  readonly #numbers: number[] = [];
  readonly #links: string[] = [];
  readonly #skipped: string[] = [];

  constructor(task: ScanTask, stop: StopFlag) {
    this.#root = task.root;
    this.#selection = new Selection(task.rules);
    this.#stop = stop;
  }

  /** A unit's parents are taken to be in the source: whoever cut the units has looked. */
  unit(path: string): void {
    const segments = path.split('/');
    const name = segments.pop() ?? path;
    this.#visit(path, name, { inDependencies: segments.some(isDependencyFolder), inLitter: false });
  }

  result(): ScanResult {
    return {
      paths: this.#paths.join('\0'),
      numbers: Float64Array.from(this.#numbers),
      links: this.#links,
      skipped: this.#skipped,
    };
  }

  #visit(path: string, name: string, above: WalkState): void {
    const standing = this.#selection.standing(path, name, above);
    if (standing === 'out') return;
    const stats = this.#stat(path);
    if (stats === undefined) return;
    if (!stats.isDirectory()) {
      if (standing === 'in') this.#leaf(path, stats);
      return;
    }
    if (standing === 'in') this.#add(path, KIND.directory, 0o755, 0, stats);
    const within = {
      inDependencies: above.inDependencies || isDependencyFolder(name),
      inLitter: standing === 'litter',
    };
    for (const child of this.#children(path)) this.#visit(`${path}/${child.name}`, child.name, within);
  }

  #leaf(path: string, stats: Stats): void {
    if (stats.isFile()) {
      this.#add(path, KIND.file, (stats.mode & 0o100) === 0 ? 0o644 : 0o755, stats.size, stats);
    } else if (stats.isSymbolicLink()) {
      this.#links.push(readlinkSync(`${this.#root}/${path}`));
      this.#add(path, KIND.symlink, 0o777, 0, stats);
    } else {
      this.#skipped.push(path);
    }
  }

  #add(path: string, kind: number, mode: number, size: number, stats: Stats): void {
    this.#paths.push(path);
    this.#numbers.push(kind, mode, size, stats.mtimeMs, stats.ctimeMs, stats.ino, stats.dev);
  }

  /** Undefined: it went between the listing and the look, so it is not part of the tree. */
  #stat(path: string): Stats | undefined {
    if (Atomics.load(this.#stop, 0) !== 0) throw new KilnError('aborted', 'The scan was cancelled.');
    return lstatSync(`${this.#root}/${path}`, { throwIfNoEntry: false });
  }

  #children(path: string): Dirent[] {
    try {
      return listDirectory(this.#root, path);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EACCES') {
        throw new KilnError('input.invalid', `The folder "${path}" cannot be read.`, {
          cause: error,
          next: 'Give this user the right to read it, or exclude it under image.exclude in kiln.yaml.',
        });
      }
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      throw error;
    }
  }
}

/** Refuses names that are not UTF-8: an archive could not hold them so that every reader agrees. */
export function listDirectory(root: string, path: string): Dirent[] {
  const folder = path === '' ? root : `${root}/${path}`;
  const children = readdirSync(folder, { withFileTypes: true });
  if (children.some((child) => child.name.includes(REPLACEMENT))) {
    for (const name of readdirSync(folder, { encoding: 'buffer' })) {
      if (!Buffer.from(name.toString('utf8')).equals(name)) {
        throw new KilnError(
          'input.invalid',
          `A file in "${path === '' ? '.' : path}" has a name that is not UTF-8: ${JSON.stringify(name.toString('latin1'))}.`,
          { next: 'Rename it.' },
        );
      }
    }
  }
  return children;
}
