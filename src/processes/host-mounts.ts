/**
 * What a program in a bubblewrap sandbox sees of its machine: all of it read-only, without what is hidden. Built
 * purely, but for `lookAtHost`, which looks once which of it is there.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';

/** An entry of the host's root directory. */
export type RootEntry =
  | { readonly kind: 'directory'; readonly name: string }
  | { readonly kind: 'link'; readonly name: string; readonly target: string };

/** An existing directory or file of the host, as a real path. */
export interface HiddenPath {
  readonly path: string;
  readonly kind: 'directory' | 'file';
}

export interface HostMounts {
  readonly root: readonly RootEntry[];
  readonly hidden: readonly HiddenPath[];
  /** Real paths to show all the same, such as a runtime's folder that lies below something hidden. */
  readonly shown: readonly string[];
}

/** Sockets of engines that would start anything for whoever can connect, which read-only does not prevent. */
export const ENGINE_SOCKETS: readonly string[] = [
  '/run/docker.sock',
  '/run/containerd/containerd.sock',
  '/run/podman/podman.sock',
  '/run/lxd.socket',
];

/** Of the paths to hide, those that are there; what the search path needs is shown. */
export async function lookAtHost(hide: readonly string[], searchPath: string): Promise<HostMounts> {
  const hidden: HiddenPath[] = [];
  for (const file of hide) {
    const real = await realPathIfSeen(file);
    if (real === undefined || hidden.some((other) => isWithin(real, other.path))) continue;
    hidden.push({ path: real, kind: (await stat(real)).isDirectory() ? 'directory' : 'file' });
  }
  const shown: string[] = [];
  for (const entry of searchPath.split(':').filter(path.isAbsolute)) {
    const real = await realPathIfSeen(entry);
    if (real === undefined) continue;
    // A runtime is its whole folder: lib and share stand beside bin.
    shown.push(path.basename(real) === 'bin' ? path.dirname(real) : real);
  }
  return { root: rootEntries(), hidden, shown: [...new Set(shown)] };
}

/** The host's root read-only, but for what the sandbox makes itself. */
export function rootArguments(root: readonly RootEntry[], own: ReadonlySet<string>): readonly string[] {
  return root.filter(({ name }) => !own.has(name)).flatMap(rootEntry);
}

/** Covers what is hidden and is not below `covered` already, then shows what has to be seen below either. */
export function maskArguments(mounts: HostMounts, covered: string): readonly string[] {
  return [
    ...masked(mounts, covered).flatMap(mask),
    ...mounts.shown
      .filter((directory) => isCovered(directory, mounts.hidden, covered))
      .flatMap((directory) => ['--ro-bind', directory, directory]),
  ];
}

/** Nothing can be written into what covers the hidden; once all that is mounted there has been. */
export function sealArguments(mounts: HostMounts, covered: string): readonly string[] {
  return masked(mounts, covered)
    .filter(({ kind }) => kind === 'directory')
    .flatMap((hidden) => ['--remount-ro', hidden.path]);
}

function isWithin(file: string, directory: string): boolean {
  const relative = path.relative(directory, file);
  return relative === '' || (!relative.startsWith('../') && relative !== '..' && !path.isAbsolute(relative));
}

function masked({ hidden }: HostMounts, covered: string): readonly HiddenPath[] {
  return hidden.filter((one) => !isWithin(one.path, covered));
}

function mask(hidden: HiddenPath): readonly string[] {
  return hidden.kind === 'directory' ? ['--tmpfs', hidden.path] : ['--ro-bind', '/dev/null', hidden.path];
}

/** Below something that the sandbox covers, and not so high that showing it would uncover what is hidden. */
function isCovered(directory: string, hidden: readonly HiddenPath[], covered: string): boolean {
  const covers = [covered, ...hidden.map((one) => one.path)];
  const uncovers = hidden.some((one) => isWithin(one.path, directory));
  return !uncovers && covers.some((cover) => isWithin(directory, cover));
}

function rootEntry(entry: RootEntry): readonly string[] {
  const at = `/${entry.name}`;
  return entry.kind === 'link' ? ['--symlink', entry.target, at] : ['--ro-bind-try', at, at];
}

function rootEntries(): readonly RootEntry[] {
  return readdirSync('/', { withFileTypes: true }).flatMap((entry): RootEntry[] => {
    const { name } = entry;
    if (entry.isSymbolicLink()) return [{ kind: 'link', name, target: readlinkSync(`/${name}`) }];
    return entry.isDirectory() ? [{ kind: 'directory', name }] : [];
  });
}

/** Undefined for what is not there, or cannot be reached by this user and so by nobody in the sandbox either. */
async function realPathIfSeen(file: string): Promise<string | undefined> {
  try {
    return await realpath(file);
  } catch {
    return undefined;
  }
}
