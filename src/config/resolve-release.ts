/** What an image becomes in an environment: configuration, settings and routes, resolved from its own definition. Pure. */
import { resolveEnvironment } from '../component/resolve-environment.ts';
import type { RouteSpec } from '../domain/component.ts';
import type { ChannelName, EnvironmentName } from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';
import type { ConfigSnapshot, ReleaseSettings } from '../domain/release.ts';
import { environmentVariables, resolveSnapshot } from './snapshot.ts';

export interface ResolvedRelease {
  readonly config: ConfigSnapshot;
  readonly settings: ReleaseSettings;
  readonly routes: readonly RouteSpec[];
  /** Present: the environment takes only images that this channel holds or held. */
  readonly channel?: ChannelName;
}

/** Fails with `config.missing-key` or `config.template` before anything is released. */
export function resolveRelease(image: Image, environment: EnvironmentName): ResolvedRelease {
  const { definition, component, version } = image;
  const spec = resolveEnvironment(definition, environment);
  const config = resolveSnapshot({
    component,
    version,
    environment,
    config: spec.config,
    templates: definition.attachments ?? {},
  });
  return {
    config,
    settings: {
      target: spec.target,
      ...(spec.runtime === undefined ? {} : { runtime: spec.runtime }),
      processes: spec.processes,
      deploy: spec.deploy,
      ...(spec.migrate === undefined ? {} : { migrate: spec.migrate }),
      checks: spec.checks,
      environment: environmentVariables(spec.config, config.values),
    },
    routes: spec.routes,
    ...(spec.channel === undefined ? {} : { channel: spec.channel }),
  };
}
