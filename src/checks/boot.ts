/**
 * Starts an image fresh and says whether it comes up.
 *
 * An instance is up when it owns its listener and its health path answers 2xx or 3xx; without a health path, when it
 * owns its listener; a process that does not listen, when it has stayed for a while.
 * It gets one chance: an instance that ends while starting fails the boot, even if the target would start another.
 */
import type { HealthSpec } from '../domain/component.ts';
import { asKilnError } from '../domain/errors.ts';
import type { InstanceId } from '../domain/ids.ts';
import type { CheckTarget } from '../domain/ports/check-target.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Endpoint, GroupObservation, GroupSpec, InstanceView } from '../domain/server-group.ts';
import { httpGet } from './http-get.ts';

const STARTUP_WITHOUT_HEALTH_MS = 60_000;
/** A program that fails at once has failed by then; one that works on is not held up for long. */
const STAYS_UP_MS = 1_000;
const POLL_MS = 25;
const LOG_TAIL_LINES = 20;

export type Boot =
  | { readonly kind: 'up'; readonly spec: GroupSpec; readonly endpoint?: Endpoint }
  | {
      readonly kind: 'failed';
      readonly spec: GroupSpec;
      readonly why: string;
      readonly logTail: readonly string[];
    };

interface Watch {
  readonly spec: GroupSpec;
  readonly target: CheckTarget;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The group has been asked for. Fails only when the target does, or with `aborted`. */
export async function waitUntilUp(watch: Watch): Promise<Boot> {
  const { spec, target, clock, signal } = watch;
  const limitMs = spec.process.health?.startupMs ?? STARTUP_WITHOUT_HEALTH_MS;
  const deadline = clock.monotonic() + limitMs;
  const failed = async (why: string): Promise<Boot> => ({
    kind: 'failed',
    spec,
    why,
    logTail: await logTail(watch, first?.id),
  });
  let first: InstanceView | undefined;
  for (;;) {
    signal.throwIfAborted();
    const observation = await target.observe(spec.group, signal);
    const instance = observation?.instances[0];
    first ??= instance;
    const verdict = judge(observation, spec);
    if (verdict.kind === 'failed') return failed(verdict.why);
    if (instance !== undefined && (await isUp(verdict, instance, watch))) {
      return verdict.kind === 'listens'
        ? { kind: 'up', spec, endpoint: verdict.endpoint }
        : { kind: 'up', spec };
    }
    if (clock.monotonic() >= deadline) return failed(`${lacking(verdict, spec)} within ${limitMs}ms`);
    await clock.sleep(POLL_MS, signal);
  }
}

function lacking(verdict: Verdict, spec: GroupSpec): string {
  if (verdict.kind === 'waits') return verdict.why;
  const path = spec.process.health?.path;
  return path === undefined ? 'it never got ready' : `its health path ${path} did not answer 2xx or 3xx`;
}

type Verdict =
  | { readonly kind: 'waits'; readonly why: string }
  | { readonly kind: 'runs' }
  | { readonly kind: 'listens'; readonly endpoint: Endpoint }
  | { readonly kind: 'failed'; readonly why: string };

/** Pure: what one observation says. */
function judge(observation: GroupObservation | undefined, spec: GroupSpec): Verdict {
  if (observation === undefined) return { kind: 'waits', why: 'the target does not know the group yet' };
  const [instance] = observation.instances;
  if (instance?.phase.kind === 'exited') {
    const { exitCode, signal } = instance.phase;
    return { kind: 'failed', why: endWords(exitCode, signal) };
  }
  // The target may have put another in its place already.
  if (observation.lastEnd !== undefined) return { kind: 'failed', why: `it ${observation.lastEnd}` };
  if (observation.health.kind !== 'steady') return { kind: 'failed', why: observation.health.why };
  if (instance === undefined) return { kind: 'waits', why: 'no instance was started' };
  if (instance.phase.kind !== 'running') return { kind: 'waits', why: 'it is still starting' };
  if (!spec.process.listens) return { kind: 'runs' };
  const { endpoint } = instance.phase;
  return endpoint === undefined
    ? { kind: 'waits', why: 'it does not listen on its PORT' }
    : { kind: 'listens', endpoint };
}

function endWords(exitCode: number | null, signal: string | null): string {
  if (signal !== null) return `it ended by ${signal}`;
  return exitCode === null ? 'it ended, and nobody saw how' : `it exited with code ${exitCode}`;
}

async function isUp(
  verdict: Verdict,
  instance: InstanceView,
  { spec, clock, signal }: Watch,
): Promise<boolean> {
  if (verdict.kind === 'runs') return clock.now() - instance.startedAtMs >= STAYS_UP_MS;
  if (verdict.kind !== 'listens') return false;
  const { health } = spec.process;
  return health === undefined || answersHealthy(verdict.endpoint, health, signal);
}

async function answersHealthy(
  endpoint: Endpoint,
  { path, timeoutMs }: HealthSpec,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const { status } = await httpGet({ endpoint, path, timeoutMs }, signal);
    return status >= 200 && status < 400;
  } catch {
    // No answer is "not healthy yet"; an abort of the whole check is still told to the caller.
    signal.throwIfAborted();
    return false;
  }
}

/** The last lines that the first instance wrote, for the record of a failure; of all where the first was not seen. */
async function logTail(
  { spec, target, signal }: Watch,
  first: InstanceId | undefined,
): Promise<readonly string[]> {
  const lines: string[] = [];
  try {
    const query = { tail: LOG_TAIL_LINES, follow: false };
    for await (const line of target.logs([spec.group], query, signal)) {
      const isItsOwn = first === undefined || line.instance === first;
      if (isItsOwn && line.text.trim() !== '') lines.push(line.text);
    }
  } catch (thrown) {
    signal.throwIfAborted();
    // The boot has failed already; that its log cannot be read is said where the log would stand.
    lines.push(`(its log cannot be read: ${asKilnError(thrown).message})`);
  }
  return lines.slice(-LOG_TAIL_LINES);
}
