/** Asks what serves in an environment, through its router, as a user's request would come. */
import type { EnvironmentName } from '../domain/ids.ts';
import type { CheckResult } from '../domain/image.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Endpoint } from '../domain/server-group.ts';
import { checkResult, type Recorder } from './check-result.ts';
import { parseSmokeFiles, runSmokeFiles } from './smoke-files.ts';

export interface EnvironmentCheckRequest {
  readonly environment: EnvironmentName;
  /** Paths of the release's check files. */
  readonly checks: readonly string[];
  /** Their texts: relative path → content. */
  readonly attachments: Readonly<Record<string, string>>;
  readonly router: Endpoint;
  /** Hosts of the release's routes; the first is asked where a test names none of them. */
  readonly routeHosts: readonly string[];
  /** How long a test that a starting service would fail is tried again. */
  readonly waitMs: number;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly signal: AbortSignal;
}

/** Empty when there is nothing to check: that is not a pass, and the caller says so. */
export async function checkEnvironment(request: EnvironmentCheckRequest): Promise<readonly CheckResult[]> {
  const { router, routeHosts, waitMs, clock, signal } = request;
  const recorder: Recorder = { where: request.environment, newId: request.newId, now: () => clock.now() };
  const files = parseSmokeFiles(request.checks, request.attachments);
  if (files.length === 0) return [];
  const address = { kind: 'endpoint', endpoint: router, routeHosts } as const;
  const findings = await runSmokeFiles(files, { address, waitMs, clock, signal });
  return [checkResult('smoke', findings, recorder)];
}
