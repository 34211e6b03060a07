/** From the domain's nouns to what the API answers: what is secret or large stays behind. */
import type { Answer } from '../api/contract.ts';
import type { Deployment } from '../domain/deployment.ts';
import { asTested, type ChannelMove, type Image } from '../domain/image.ts';
import type { ReleaseWithState } from '../domain/ports/store.ts';
import type { ServiceStatus } from './parts.ts';

export function imageView(image: Image, moves: readonly ChannelMove[]): Answer<'images.get'> {
  const { id, component, version, inputKey, parent, tags, artifacts, checks, revoked, createdAtMs } = image;
  return {
    id,
    component,
    version,
    inputKey,
    ...(parent === undefined ? {} : { parent }),
    tags,
    artifacts,
    checks,
    tested: asTested(image) !== undefined,
    channels: moves.filter((move) => move.image === id).map((move) => move.channel),
    ...(revoked === undefined ? {} : { revoked }),
    createdAtMs,
  };
}

export function releaseView(release: ReleaseWithState): Answer<'releases.get'> {
  const { component, environment, number, image, version, artifact, config, settings, routes } = release;
  return {
    component,
    environment,
    number,
    image,
    version,
    artifact,
    config: {
      digest: config.digest,
      keys: Object.keys(config.values).sort(),
      files: config.files.map((file) => file.path),
    },
    target: settings.target,
    strategy: settings.deploy.strategy,
    processes: settings.processes.map(({ name, instances }) => ({ name, instances })),
    routes,
    createdAtMs: release.createdAtMs,
    createdBy: release.createdBy,
    ...(release.servedAtMs === undefined ? {} : { servedAtMs: release.servedAtMs }),
    ...(release.bad === undefined ? {} : { bad: release.bad }),
  };
}

export function deploymentView(deployment: Deployment): Answer<'deployments.get'> {
  const { decisions: _, ...shown } = deployment;
  return shown;
}

/** @param listen the router's HOST:PORT */
export function serviceView(status: ServiceStatus, listen: string): Answer<'services.get'> {
  const port = listen.slice(listen.lastIndexOf(':') + 1);
  const suffix = port === '80' ? '' : `:${port}`;
  const { deployment, ...rest } = status;
  return {
    ...rest,
    ...(deployment === undefined ? {} : { deployment: deploymentView(deployment) }),
    urls: status.hosts.map((host) => `http://${host}${suffix}/`),
  };
}

/** The parts of a question that were given: an optional member is absent, never undefined. */
export function present<Value extends object>(
  value: Value,
): { [Key in keyof Value]: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as {
    [Key in keyof Value]: Exclude<Value[Key], undefined>;
  };
}
