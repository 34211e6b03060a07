/**
 * Namespaces in which root filesystems are made and run. Mounts and processes live in namespaces of their own, whose
 * first process dies with Kiln: when it has gone, however it went, the kernel undoes every mount and ends every
 * process. An ordinary user becomes root of a user namespace with the ids that /etc/subuid lends. Pure.
 */
const DIES_WITH_KILN = ['setpriv', '--pdeathsig', 'KILL'];
const OWN_MOUNTS_AND_PROCESSES = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
const BORROWED_IDS = ['--user', '--map-auto', '--map-root-user'];
/** What package managers and maintainer scripts need of root; all else bubblewrap takes away. */
const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_SETUID',
  'CAP_SETGID',
  'CAP_SETFCAP',
  'CAP_SYS_CHROOT',
  'CAP_NET_BIND_SERVICE',
  'CAP_KILL',
];

/** Where the component's files stand inside. */
export const SOURCE_INSIDE = '/run/kiln/source';

/** Runs a command as root over files that belong to many users. */
export function asNamespaceRoot(isRoot: boolean, argv: readonly string[]): string[] {
  const ids = isRoot ? [] : BORROWED_IDS;
  return [...DIES_WITH_KILN, 'unshare', ...ids, ...OWN_MOUNTS_AND_PROCESSES, '--', ...argv];
}

export interface Inside {
  /** Absolute path of the root filesystem, which is written to. */
  readonly root: string;
  /** Shown read-only, with nothing else of the machine. */
  readonly shown: readonly { readonly from: string; readonly to: string }[];
  /** False: the image's own /tmp and /run, as an instance has them. */
  readonly freshTemp: boolean;
  readonly network: boolean;
}

/** Runs a shell script inside a root filesystem, with nothing of the machine but its kernel. */
export function insideRootfs(isRoot: boolean, inside: Inside, script: string): string[] {
  return asNamespaceRoot(isRoot, [
    'bwrap',
    ...['--bind', inside.root, '/', '--dev', '/dev', '--proc', '/proc'],
    ...(inside.freshTemp ? ['--perms', '1777', '--tmpfs', '/tmp', '--tmpfs', '/run'] : []),
    ...inside.shown.flatMap(({ from, to }) => ['--ro-bind', from, to]),
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--hostname', 'kiln', '--die-with-parent'],
    ...(inside.network ? [] : ['--unshare-net']),
    ...CAPABILITIES.flatMap((capability) => ['--cap-add', capability]),
    ...['--chdir', '/', '--', '/bin/sh', '-c', script],
  ]);
}
