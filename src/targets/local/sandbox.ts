/** The bubblewrap command of one instance, built purely. */
import path from 'node:path';
import { STATUS_FD } from './runner.ts';

export const APP_DIRECTORY = '/app';
export const HOME_DIRECTORY = '/scratch';
export const TEMPORARY_DIRECTORY = '/tmp';

/** An entry of the host's root directory. */
export type RootEntry =
  | { readonly kind: 'directory'; readonly name: string }
  | { readonly kind: 'link'; readonly name: string; readonly target: string };

export interface Mount {
  readonly source: string;
  /** Absolute, as the instance sees it. */
  readonly path: string;
}

export interface SandboxPlan {
  readonly bwrap: string;
  readonly root: readonly RootEntry[];
  readonly image: string;
  readonly home: string;
  readonly temporary: string;
  readonly volumes: readonly Mount[];
  readonly files: readonly Mount[];
  /** Existing directories and files of the host, as real paths, that the instance must not see. */
  readonly hidden: readonly { readonly path: string; readonly kind: 'directory' | 'file' }[];
  /** Real paths to show all the same, such as a runtime's folder that lies below something hidden. */
  readonly shown: readonly string[];
  /** Started by root, whose powers stay with a process unless they are dropped. */
  readonly asRoot: boolean;
  readonly command: readonly string[];
}

/** Made by the sandbox itself. */
const OWN_ENTRIES = new Set(['proc', 'dev', 'tmp', 'app', 'scratch']);

/** What programs that run as root in a container are used to, without what could undo a mount. */
const ROOT_POWERS = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETGID',
  'CAP_SETUID',
];

/**
 * The host read-only, without what is hidden; the image read-only at /app; HOME and /tmp of its own; volumes.
 * --die-with-parent is left out on purpose: instances outlive the server.
 */
export function sandboxCommand(plan: SandboxPlan): readonly string[] {
  const masked = plan.hidden.filter((hidden) => !isWithin(hidden.path, TEMPORARY_DIRECTORY));
  const shown = plan.shown.filter((directory) => isMasked(directory, plan));
  return [
    plan.bwrap,
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--new-session'],
    ...['--json-status-fd', String(STATUS_FD)],
    ...(plan.asRoot ? ['--cap-drop', 'ALL', ...ROOT_POWERS.flatMap((power) => ['--cap-add', power])] : []),
    ...plan.root.filter((entry) => !OWN_ENTRIES.has(entry.name)).flatMap(rootEntry),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...['--bind', plan.temporary, TEMPORARY_DIRECTORY],
    ...['--bind', plan.home, HOME_DIRECTORY],
    ...masked.flatMap(mask),
    ...shown.flatMap((directory) => ['--ro-bind', directory, directory]),
    ...masked.filter(({ kind }) => kind === 'directory').flatMap((hidden) => ['--remount-ro', hidden.path]),
    ...['--ro-bind', plan.image, APP_DIRECTORY],
    ...plan.volumes.flatMap((volume) => ['--bind', volume.source, volume.path]),
    ...plan.files.flatMap((file) => ['--ro-bind', file.source, file.path]),
    ...['--remount-ro', '/'],
    ...['--chdir', APP_DIRECTORY],
    '--',
    ...plan.command,
  ];
}

function rootEntry(entry: RootEntry): readonly string[] {
  const at = `/${entry.name}`;
  return entry.kind === 'link' ? ['--symlink', entry.target, at] : ['--ro-bind-try', at, at];
}

function mask(hidden: SandboxPlan['hidden'][number]): readonly string[] {
  return hidden.kind === 'directory' ? ['--tmpfs', hidden.path] : ['--ro-bind', '/dev/null', hidden.path];
}

/** Below something that the sandbox covers, and not so high that showing it would uncover what is hidden. */
function isMasked(directory: string, plan: SandboxPlan): boolean {
  const covered = [TEMPORARY_DIRECTORY, ...plan.hidden.map((hidden) => hidden.path)];
  const uncovers = plan.hidden.some((hidden) => isWithin(hidden.path, directory));
  return !uncovers && covered.some((cover) => isWithin(directory, cover));
}

export function isWithin(file: string, directory: string): boolean {
  const relative = path.relative(directory, file);
  return relative === '' || (!relative.startsWith('../') && relative !== '..' && !path.isAbsolute(relative));
}
