/** From the domain's nouns to what the API answers: what is secret or large stays behind. */
import type { Answer } from '../api/contract.ts';
import type { BakeOutcome, BakeView } from '../bakery/bake-record.ts';
import type { CheckRun } from '../checks/check-runs.ts';
import type { Deployment } from '../domain/deployment.ts';
import type { KilnError } from '../domain/errors.ts';
import type { ImageId } from '../domain/ids.ts';
import { asTested, type ChannelMove, type Image, type ImageSource, imageState } from '../domain/image.ts';
import type { ReleaseWithState } from '../domain/ports/releases.ts';
import type { ServiceStatus } from './parts.ts';

export function imageView(
  image: Image,
  moves: readonly ChannelMove[],
  outdated: ReadonlySet<ImageId>,
): Answer<'images.get'> {
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
    state: imageState(image),
    channels: moves.filter((move) => move.image === id).map((move) => move.channel),
    ...(revoked === undefined ? {} : { revoked }),
    outdated: outdated.has(id),
    ...present({ source: image.source && sourceView(image.source) }),
    createdAtMs,
  };
}

function sourceView({ server: _, ...source }: ImageSource): Answer<'images.get'>['source'] {
  return source;
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

export function bakeView(bake: BakeView): Answer<'bakes.get'> {
  const { id, directory, startedAtMs, startedBy, endedAtMs, outcome } = bake;
  return {
    id,
    state: bakeState(outcome),
    directory,
    startedAtMs,
    startedBy,
    ...present({ endedAtMs }),
    ...(outcome === undefined ? {} : outcomeView(outcome)),
  };
}

function bakeState(outcome: BakeOutcome | undefined): Answer<'bakes.get'>['state'] {
  if (outcome === undefined) return 'running';
  return outcome.kind === 'failed' && outcome.error.code === 'aborted' ? 'cancelled' : outcome.kind;
}

function outcomeView(outcome: BakeOutcome): Pick<Answer<'bakes.get'>, 'image' | 'differences' | 'failure'> {
  if (outcome.kind === 'failed') return { failure: failureView(outcome.error) };
  const { image, differences } = outcome;
  const { id, component, version, artifacts } = image;
  const artifact = artifacts[0];
  return {
    image: {
      id,
      component,
      version,
      ...(artifact === undefined ? {} : { digest: artifact.digest, sizeBytes: artifact.sizeBytes }),
      tested: asTested(image) !== undefined,
    },
    ...present({ differences }),
  };
}

export function checkRunView(run: CheckRun): Answer<'checks.get'> {
  const { failure, ...rest } = run;
  return { ...rest, ...(failure === undefined ? {} : { failure: failureView(failure) }) };
}

export function failureView(error: KilnError): NonNullable<Answer<'bakes.get'>['failure']> {
  const { code, message, next, faults, details } = error;
  return { code, message, ...present({ next }), faults, details };
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
