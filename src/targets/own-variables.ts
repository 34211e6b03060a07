import { serviceParts } from '../domain/ids.ts';
import type { LaunchRequest } from './instance-engine.ts';

/** What every instance is told of itself, on any target. */
export function ownVariables({ id, spec }: LaunchRequest): Record<string, string> {
  const { component, environment } = serviceParts(spec.service);
  return {
    KILN_COMPONENT: component,
    KILN_VERSION: spec.version,
    KILN_ENVIRONMENT: environment,
    KILN_PROCESS: spec.process.name,
    KILN_RELEASE: String(spec.release),
    KILN_SERVER_GROUP: spec.group,
    KILN_INSTANCE: id,
  };
}
