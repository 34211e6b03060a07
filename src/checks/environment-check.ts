/** Asks what serves in an environment, through its router, as a user's request would come. */
import type { CheckResult } from '../domain/image.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Release } from '../domain/release.ts';
import type { Endpoint } from '../domain/server-group.ts';
import { checkResult, type Findings, type Recorder } from './check-result.ts';
import { parseSmokeFiles, runSmokeFiles } from './smoke-files.ts';
import { checkStandardEndpoints } from './standard-check.ts';

export interface EnvironmentCheckRequest {
  /** The release that should serve. */
  readonly release: Release;
  /** Texts of its check files, as its image's definition holds them: relative path → content. */
  readonly attachments: Readonly<Record<string, string>>;
  readonly router: Endpoint;
  /** How long a test that a starting service would fail is tried again. */
  readonly waitMs: number;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly signal: AbortSignal;
}

/** Empty when there is nothing to check: that is not a pass, and the caller says so. */
export async function checkEnvironment(request: EnvironmentCheckRequest): Promise<readonly CheckResult[]> {
  const { release, router, waitMs, clock, signal } = request;
  const recorder: Recorder = { where: release.environment, newId: request.newId, now: () => clock.now() };
  const files = parseSmokeFiles(release.settings.checks, request.attachments);
  const results: CheckResult[] = [];
  const standard = await standardFindings(request);
  if (standard.length > 0) results.push(checkResult('standard', standard, recorder));
  if (files.length > 0) {
    const routeHosts = [...new Set(release.routes.map((route) => route.host))];
    const address = { kind: 'endpoint', endpoint: router, routeHosts } as const;
    const findings = await runSmokeFiles(files, { address, waitMs, clock, signal });
    results.push(checkResult('smoke', findings, recorder));
  }
  return results;
}

/** A process that keeps the standard is asked where a route leads all of a host's paths to it. */
async function standardFindings(request: EnvironmentCheckRequest): Promise<readonly Findings[]> {
  const { release, router, waitMs, clock, signal } = request;
  const expected = { component: release.component, version: release.version };
  const findings: Findings[] = [];
  for (const process of release.settings.processes) {
    const route = release.routes.find(({ process: name, path }) => name === process.name && path === '/');
    if (!process.standard || route === undefined) continue;
    const check = { endpoint: router, host: route.host, expected, waitMs, clock, signal };
    findings.push(...(await checkStandardEndpoints(check)));
  }
  return findings;
}
