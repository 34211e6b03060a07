/** Proves an image before it may be promoted: boots it fresh, asks it, runs its own tests, and leaves nothing behind. */
import type { EnvironmentSpec, ProcessSpec } from '../domain/component.ts';
import { asKilnError, KilnError } from '../domain/errors.ts';
import {
  type Digest,
  environmentName,
  type Fence,
  type ReleaseNumber,
  type ServiceKey,
  serviceKey,
} from '../domain/ids.ts';
import type { CheckResult, Image } from '../domain/image.ts';
import type { CheckTarget } from '../domain/ports/check-target.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { RenderedFile } from '../domain/release.ts';
import { type Endpoint, type GroupSpec, serverGroupName } from '../domain/server-group.ts';
import { type Boot, waitUntilUp } from './boot.ts';
import { checkResult, type Findings, type Recorder } from './check-result.ts';
import { runInImageTests } from './in-image-tests.ts';
import { parseSmokeFiles, runSmokeFiles, type SmokeFile } from './smoke-files.ts';
import { checkStandardEndpoints } from './standard-check.ts';

/** Where images are checked before they belong to any environment. */
export const BAKE_ENVIRONMENT = environmentName('bake/local');
const REMOVE_TIMEOUT_MS = 120_000;
/** Enough for a stack trace with the error above it. */
const SHOWN_LINES = 15;

export interface ImageCheckRequest {
  readonly image: Image;
  /** The form of the image that the target can run. */
  readonly artifact: Digest;
  /** The image that a bundle runs in, where the target has no runtimes of its own. */
  readonly runtime?: string;
  readonly target: CheckTarget;
  /** Of the service `imageCheckService(image)`: checks of one component take turns. */
  readonly fence: Fence;
  /** Unlike that of any other check of this component under way: server groups are named by it. */
  readonly release: ReleaseNumber;
  /** Environment variables, resolved for `bake/local`. */
  readonly environment: Readonly<Record<string, string>>;
  readonly files: readonly RenderedFile[];
  readonly clock: Clock;
  readonly newId: () => string;
  readonly signal: AbortSignal;
  readonly onProgress?: (line: string) => void;
}

export function imageCheckService(image: Image): ServiceKey {
  return serviceKey(image.component, BAKE_ENVIRONMENT);
}

/**
 * A failed check is a result; an error is what kept the check from being made. Its groups and volumes are removed
 * either way.
 */
export async function checkImage(request: ImageCheckRequest): Promise<readonly CheckResult[]> {
  const { image, target, signal } = request;
  const settings = image.definition.environments[BAKE_ENVIRONMENT] ?? image.definition.defaults;
  const smokeFiles = parseSmokeFiles(settings.checks, image.definition.attachments ?? {});
  const specs = settings.processes
    .filter((process) => process.instances.desired > 0)
    .map((process) => groupSpec(process, request));
  return removingAfterwards(specs, request, async () => {
    // A check that was killed may have left some.
    await target.removeVolumes(imageCheckService(image), request.fence, signal);
    await target.prepare(request.artifact, signal);
    for (const spec of specs) await target.ensure(spec, request.fence, { afresh: true }, signal);
    request.onProgress?.(`booting ${image.component} ${image.version}`);
    const boots = await Promise.all(
      specs.map((spec) => waitUntilUp({ spec, target, clock: request.clock, signal })),
    );
    return examine(boots, smokeFiles, settings, request);
  });
}

function groupSpec(process: ProcessSpec, request: ImageCheckRequest): GroupSpec {
  const { image, release } = request;
  return {
    group: serverGroupName(image.component, process.name, BAKE_ENVIRONMENT, release, 'check'),
    service: imageCheckService(image),
    release,
    version: image.version,
    artifact: request.artifact,
    ...(request.runtime === undefined ? {} : { runtime: request.runtime }),
    process: { ...process, instances: { min: 1, desired: 1, max: 1 } },
    environment: request.environment,
    files: request.files,
    desired: 1,
    retire: [],
  };
}

/** What did not come up is not asked anything: its boot result says why. */
async function examine(
  boots: readonly Boot[],
  smokeFiles: readonly SmokeFile[],
  settings: EnvironmentSpec,
  request: ImageCheckRequest,
): Promise<readonly CheckResult[]> {
  const { clock, signal, image, onProgress } = request;
  const recorder: Recorder = { where: BAKE_ENVIRONMENT, newId: request.newId, now: () => clock.now() };
  const results = [checkResult('boot', boots.map(bootFindings), recorder)];
  if (boots.some((boot) => boot.kind === 'failed')) return results;
  const serving = boots.find((boot) => boot.kind === 'up' && boot.endpoint !== undefined);
  const endpoint = serving?.kind === 'up' ? serving.endpoint : undefined;
  const standard = await standardFindings(boots, request);
  if (standard.length > 0) results.push(checkResult('standard', standard, recorder));
  if (smokeFiles.length > 0) {
    onProgress?.(`running ${smokeFiles.length} check file(s)`);
    const findings =
      endpoint === undefined
        ? [
            {
              passedCount: 0,
              failures: ['No process of the component listens, so its check files cannot be run.'],
            },
          ]
        : await runSmokeFiles(smokeFiles, {
            address: { kind: 'endpoint', endpoint },
            waitMs: 0,
            clock,
            signal,
          });
    results.push(checkResult('smoke', findings, recorder));
  }
  const [process] = settings.processes;
  if (image.definition.image.tests.length > 0 && process !== undefined) {
    onProgress?.('running the tests inside the image');
    const findings = await inImageFindings(serving?.spec ?? groupSpec(process, request), endpoint, request);
    results.push(checkResult('in-image', findings, recorder));
  }
  return results;
}

function bootFindings(boot: Boot): Findings {
  if (boot.kind === 'up') return { passedCount: 1, failures: [] };
  const tail = boot.logTail.slice(-SHOWN_LINES).map((line) => `\n  │ ${line}`);
  return { passedCount: 0, failures: [`${boot.spec.process.name}: ${boot.why}${tail.join('')}`] };
}

/** Empty where no process says that it keeps the standard. */
async function standardFindings(
  boots: readonly Boot[],
  { image, clock, signal }: ImageCheckRequest,
): Promise<readonly Findings[]> {
  const findings: Findings[] = [];
  const expected = { component: image.component, version: image.version };
  for (const boot of boots) {
    if (boot.kind !== 'up' || boot.endpoint === undefined || !boot.spec.process.standard) continue;
    const { endpoint } = boot;
    findings.push(...(await checkStandardEndpoints({ endpoint, expected, waitMs: 0, clock, signal })));
  }
  return findings;
}

async function inImageFindings(
  spec: GroupSpec,
  endpoint: Endpoint | undefined,
  { image, target, fence, newId, signal }: ImageCheckRequest,
): Promise<readonly Findings[]> {
  const base = endpoint === undefined ? {} : { BASE_URL: `http://${endpoint.host}:${endpoint.port}` };
  return runInImageTests({
    patterns: image.definition.image.tests,
    // The instance holds the volumes, and one that is not shared cannot be held twice.
    spec: {
      ...spec,
      process: { ...spec.process, volumes: [] },
      environment: { ...spec.environment, ...base },
    },
    target,
    fence,
    checkId: newId(),
    signal,
  });
}

/** Removal does not listen to the caller's signal: a cancelled check must not leave instances behind. */
async function removingAfterwards<T>(
  specs: readonly GroupSpec[],
  request: ImageCheckRequest,
  work: () => Promise<T>,
): Promise<T> {
  const { image, target, fence } = request;
  const service = imageCheckService(image);
  const limit = (): AbortSignal => AbortSignal.timeout(REMOVE_TIMEOUT_MS);
  let outcome: { readonly value: T } | { readonly thrown: unknown };
  try {
    outcome = { value: await work() };
  } catch (thrown) {
    outcome = { thrown };
  }
  const removals = await Promise.allSettled(specs.map((spec) => target.remove(spec.group, fence, limit())));
  const failures: unknown[] = removals.flatMap((removal) =>
    removal.status === 'rejected' ? [removal.reason] : [],
  );
  if (failures.length === 0) {
    await target.removeVolumes(service, fence, limit()).catch((thrown: unknown) => failures.push(thrown));
  }
  if ('value' in outcome && failures.length === 0) return outcome.value;
  if ('thrown' in outcome && failures.length === 0) throw asKilnError(outcome.thrown);
  const first = asKilnError('thrown' in outcome ? outcome.thrown : failures[0]);
  throw new KilnError(first.code, `${first.message} What it had started could not be removed.`, {
    cause: new AggregateError(['thrown' in outcome ? outcome.thrown : undefined, ...failures], first.message),
    retryable: first.retryable,
    next: first.next ?? 'Run `kiln status`, and remove what is left of the check.',
  });
}
