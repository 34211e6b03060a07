/** The bubblewrap command of one instance, built purely. */
import { type HostMounts, maskArguments, rootArguments, sealArguments } from '../../processes/host-mounts.ts';
import { STATUS_FD } from './runner.ts';

export const APP_DIRECTORY = '/app';
export const HOME_DIRECTORY = '/scratch';
export const TEMPORARY_DIRECTORY = '/tmp';

export interface Mount {
  readonly source: string;
  /** Absolute, as the instance sees it. */
  readonly path: string;
}

export interface SandboxPlan {
  readonly bwrap: string;
  readonly host: HostMounts;
  readonly image: string;
  readonly home: string;
  readonly temporary: string;
  readonly volumes: readonly Mount[];
  readonly files: readonly Mount[];
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
  return [
    plan.bwrap,
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--new-session'],
    ...['--json-status-fd', String(STATUS_FD)],
    ...(plan.asRoot ? ['--cap-drop', 'ALL', ...ROOT_POWERS.flatMap((power) => ['--cap-add', power])] : []),
    ...rootArguments(plan.host.root, OWN_ENTRIES),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...['--bind', plan.temporary, TEMPORARY_DIRECTORY],
    ...['--bind', plan.home, HOME_DIRECTORY],
    ...maskArguments(plan.host, TEMPORARY_DIRECTORY),
    ...sealArguments(plan.host, TEMPORARY_DIRECTORY),
    ...['--ro-bind', plan.image, APP_DIRECTORY],
    ...plan.volumes.flatMap((volume) => ['--bind', volume.source, volume.path]),
    ...plan.files.flatMap((file) => ['--ro-bind', file.source, file.path]),
    ...['--remount-ro', '/'],
    ...['--chdir', APP_DIRECTORY],
    '--',
    ...plan.command,
  ];
}
