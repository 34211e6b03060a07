/** What the engine is asked to create for one instance. Pure. */
import path from 'node:path';
import { exclusiveVolumes, type LaunchRequest } from '../instance-engine.ts';
import { ownVariables } from '../own-variables.ts';
import { shellCommand } from '../shell-command.ts';
import { serviceFolder } from './layout.ts';

/** Where a bundle's files are, in whatever runtime it runs. */
export const APP_DIRECTORY = '/app';
export const HOME_DIRECTORY = '/scratch';
export const TEMPORARY_DIRECTORY = '/tmp';

/** What programs that begin as root are used to, without what could undo a mount or reach the host. */
const ROOT_POWERS = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'NET_BIND_SERVICE',
  'SETGID',
  'SETUID',
];
/** Memory that is writable and gone with the container. Programs may be unpacked there and run, as on a machine. */
const SCRATCH = 'rw,exec,nosuid,nodev,mode=1777';
const SCRATCH_DIRECTORIES = [TEMPORARY_DIRECTORY, HOME_DIRECTORY, '/run'];
/** The engine rotates by itself, whether a server lives or not. */
const LOG_LIMITS = { 'max-size': '10m', 'max-file': '3' };
const FALLBACK_PORT = 8080;

export const LABEL = {
  owner: 'kiln.owner',
  instance: 'kiln.instance',
  description: 'kiln.description',
  service: 'kiln.service',
} as const;

export interface Neighbour {
  readonly containerId: string;
  /** Inside its container. */
  readonly port: number;
}

export interface ContainerPlan {
  readonly request: LaunchRequest;
  readonly owner: string;
  /** What the engine knows it by. */
  readonly image: string;
  /** Where relative paths begin: the app's folder. */
  readonly appDirectory: string;
  /** The unpacked bundle on the host, mounted read-only; undefined: the image holds the app. */
  readonly bundle: string | undefined;
  /** An instance of its group that listens: a run that is to look at it has its network. */
  readonly beside: Neighbour | undefined;
  /** The spec's files on the host, in their order. */
  readonly files: readonly string[];
  readonly startedAtMs: number;
  readonly bootId: string;
}

/** The body of `POST /containers/create`. */
export function containerBody(plan: ContainerPlan): object {
  const { request, owner, image, bundle, beside } = plan;
  const port = listeningPort(request);
  const command = request.command === '' ? {} : { Entrypoint: shellCommand(request.command), Cmd: [] };
  return {
    Image: image,
    ...command,
    ...(bundle === undefined ? {} : { WorkingDir: APP_DIRECTORY }),
    Env: Object.entries(instanceEnvironment(request, port, beside)).map(
      ([name, value]) => `${name}=${value}`,
    ),
    Labels: {
      [LABEL.owner]: owner,
      [LABEL.instance]: request.id,
      [LABEL.service]: request.spec.service,
      [LABEL.description]: JSON.stringify(describe(plan, port)),
    },
    ...(port === undefined ? {} : { ExposedPorts: { [`${port}/tcp`]: {} } }),
    HostConfig: {
      // Pid 1 is the engine's small init: signals reach the program, and what it leaves behind is reaped.
      Init: true,
      ReadonlyRootfs: true,
      Tmpfs: Object.fromEntries(SCRATCH_DIRECTORIES.map((directory) => [directory, SCRATCH])),
      Mounts: mounts(plan),
      CapDrop: ['ALL'],
      CapAdd: ROOT_POWERS,
      SecurityOpt: ['no-new-privileges'],
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: LOG_LIMITS },
      ...(beside === undefined ? {} : { NetworkMode: `container:${beside.containerId}` }),
      ...(port === undefined
        ? {}
        : { PortBindings: { [`${port}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: '' }] } }),
    },
  };
}

/** Everything that another server must know of it, and the engine does not say by itself. */
export interface ContainerDescription {
  readonly version: 1;
  readonly kind: 'member' | 'run';
  readonly group: string;
  readonly ordinal: number;
  readonly artifact: string;
  readonly exclusiveVolumes: readonly string[];
  /** Inside the container. */
  readonly port?: number;
  readonly startedAtMs: number;
  readonly bootId: string;
}

function describe(plan: ContainerPlan, port: number | undefined): ContainerDescription {
  const { kind, ordinal, spec } = plan.request;
  return {
    version: 1,
    ...{ kind, ordinal, group: spec.group, artifact: spec.artifact },
    exclusiveVolumes: exclusiveVolumes(spec),
    ...(port === undefined ? {} : { port }),
    startedAtMs: plan.startedAtMs,
    bootId: plan.bootId,
  };
}

function listeningPort({ kind, spec }: LaunchRequest): number | undefined {
  if (kind !== 'member' || !spec.process.listens) return undefined;
  return spec.process.port ?? FALLBACK_PORT;
}

/** PATH and all else are the image's own. */
function instanceEnvironment(
  request: LaunchRequest,
  port: number | undefined,
  beside: Neighbour | undefined,
): Record<string, string> {
  const { spec } = request;
  const isAsked = beside !== undefined && spec.environment.BASE_URL !== undefined;
  return {
    HOME: HOME_DIRECTORY,
    TMPDIR: TEMPORARY_DIRECTORY,
    LANG: 'C.UTF-8',
    ...spec.environment,
    // From within its network the instance has another address than from the host.
    ...(isAsked ? { BASE_URL: `http://127.0.0.1:${beside.port}` } : {}),
    // It is reached through the container's own address, which it cannot know.
    ...(port === undefined ? {} : { PORT: String(port), HOST: '0.0.0.0' }),
    ...ownVariables(request),
  };
}

function mounts({ request, owner, bundle, appDirectory, files }: ContainerPlan): readonly object[] {
  const { spec } = request;
  return [
    ...(bundle === undefined
      ? []
      : [{ Type: 'bind', Source: bundle, Target: APP_DIRECTORY, ReadOnly: true }]),
    ...spec.process.volumes.map((volume) => ({
      Type: 'volume',
      Source: `kiln-${owner}-${serviceFolder(spec.service)}-${volume.name}`,
      Target: path.posix.resolve(appDirectory, volume.path),
      VolumeOptions: { Labels: { [LABEL.owner]: owner, [LABEL.service]: spec.service } },
    })),
    ...spec.files.map((file, index) => ({
      Type: 'bind',
      Source: files[index],
      Target: path.posix.resolve(appDirectory, file.path),
      ReadOnly: true,
    })),
  ];
}
