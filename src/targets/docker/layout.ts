import path from 'node:path';
import {
  environmentParts,
  hexOf,
  type InstanceId,
  type ServerGroupName,
  type ServiceKey,
  serviceParts,
} from '../../domain/ids.ts';
import type { LogsLayout } from '../log-files.ts';
import type { ImagesLayout } from '../unpacked-images.ts';

/** Where the docker target keeps what is not in the engine. All of it belongs to this machine. */
export interface DockerLayout extends ImagesLayout, LogsLayout {
  readonly root: string;
  /** Names this Kiln in the engine's labels; made when it first starts a container. */
  readonly owner: string;
  instance(id: InstanceId): DockerInstanceLayout;
  /** Which runtime a group's instances run in: all in the same. */
  runtime(group: ServerGroupName): string;
  /** Its time says when a container image that was loaded into the engine was last asked for. */
  readonly loaded: string;
}

export interface DockerInstanceLayout {
  readonly directory: string;
  /** Rendered files, mounted into the container. */
  readonly files: string;
  /** Written when the container goes. */
  readonly log: string;
}

export function dockerLayout(stateDirectory: string): DockerLayout {
  const root = path.join(stateDirectory, 'targets', 'docker');
  const at = (...parts: string[]) => path.join(root, ...parts);
  return {
    root,
    owner: at('owner'),
    instances: at('instances'),
    images: at('images'),
    logs: at('logs'),
    loaded: at('loaded'),
    instance: (id) => {
      const directory = at('instances', id);
      return { directory, files: path.join(directory, 'files'), log: path.join(directory, 'out.log') };
    },
    image: (digest) => at('images', hexOf(digest)),
    runtime: (group) => at('runtimes', group),
    keptLogs: (service) => at('logs', serviceFolder(service)),
  };
}

/** `storefront.live.uk`: a name cannot hold `.`, so no two services share one. */
export function serviceFolder(service: ServiceKey): string {
  const { component, environment } = serviceParts(service);
  const { level, region } = environmentParts(environment);
  return `${component}.${level}.${region}`;
}
