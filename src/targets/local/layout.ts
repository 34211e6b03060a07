import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import {
  type Digest,
  environmentParts,
  hexOf,
  type InstanceId,
  type ServerGroupName,
  type ServiceKey,
  serviceParts,
} from '../../domain/ids.ts';

/** Where the local target keeps what. All of it belongs to this machine and is of no use on another. */
export interface LocalLayout {
  readonly root: string;
  readonly instances: string;
  readonly images: string;
  readonly views: string;
  readonly volumes: string;
  readonly logs: string;
  /** Where the sandbox is tried out: here, not in the machine's /tmp, so that what a crash leaves of it is found. */
  readonly trial: string;
  instance(id: InstanceId): InstanceLayout;
  image(digest: Digest): string;
  /** A group's own view of its image, where there is no sandbox to make one. */
  view(group: ServerGroupName): string;
  volumesOf(service: ServiceKey): string;
  volume(service: ServiceKey, name: string): string;
  keptLogs(service: ServiceKey): string;
}

export interface InstanceLayout {
  readonly directory: string;
  /** What it is: written before anything of it runs. */
  readonly description: string;
  /** Which processes it is: written once they are known. */
  readonly processes: string;
  /** Lines that its runner appends: its pid, then its exit code. */
  readonly status: string;
  readonly log: string;
  readonly scratch: string;
  readonly home: string;
  readonly temporary: string;
  readonly files: string;
}

const PLAIN_NAME = /^[a-z0-9][a-z0-9-]{0,250}$/;

export function localLayout(stateDirectory: string): LocalLayout {
  const root = path.join(stateDirectory, 'targets', 'local');
  const at = (...parts: string[]) => path.join(root, ...parts);
  return {
    root,
    instances: at('instances'),
    images: at('images'),
    views: at('views'),
    volumes: at('volumes'),
    logs: at('logs'),
    trial: at('trial'),
    instance: (id) => instanceLayout(at('instances', plain(id))),
    image: (digest) => at('images', plain(hexOf(digest))),
    view: (group) => at('views', plain(group)),
    volumesOf: (service) => at('volumes', serviceFolder(service)),
    volume: (service, name) => at('volumes', serviceFolder(service), plain(name)),
    keptLogs: (service) => at('logs', serviceFolder(service)),
  };
}

/** `storefront@live.uk`: a name cannot hold `@` or `.`, so no two services share a folder. */
function serviceFolder(service: ServiceKey): string {
  const { component, environment } = serviceParts(service);
  const { level, region } = environmentParts(environment);
  return `${plain(component)}@${plain(level)}.${plain(region)}`;
}

function instanceLayout(directory: string): InstanceLayout {
  const at = (...parts: string[]) => path.join(directory, ...parts);
  return {
    directory,
    description: at('instance.json'),
    processes: at('process.json'),
    status: at('status.jsonl'),
    log: at('out.log'),
    scratch: at('scratch'),
    home: at('scratch', 'home'),
    temporary: at('scratch', 'tmp'),
    files: at('files'),
  };
}

function plain(name: string): string {
  if (PLAIN_NAME.test(name)) return name;
  throw new KilnError('path.escapes', `"${name}" cannot name a file.`, {
    next: 'Use lower-case letters, digits and dashes.',
  });
}
