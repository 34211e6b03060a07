/**
 * Kiln's own verbs as tasks of pipelines. Asked again with the same key, each finds what it began before: a bake its
 * image by the key of its inputs, a promotion its move, a deployment by its Idempotency-Key. A task may do no more than
 * whoever started its execution.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bakery } from '../bakery/bakery.ts';
import { promote } from '../catalog/promote.ts';
import { imageFor, resolveImage } from '../catalog/resolve-image.ts';
import type { CheckRuns } from '../checks/check-runs.ts';
import type { Deployer } from '../deploy/deployer.ts';
import type { CallAttempt } from '../domain/change.ts';
import type { Deployment } from '../domain/deployment.ts';
import { KilnError } from '../domain/errors.ts';
import {
  type BakeId,
  channelName,
  componentName,
  type DeploymentId,
  type EnvironmentName,
  environmentName,
  type Revision,
} from '../domain/ids.ts';
import { asTested } from '../domain/image.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import { assertEnvironment } from '../http/auth.ts';
import type { Json } from '../pipeline/asl/json.ts';
import { isCancelled, type TaskCall } from '../pipeline/task.ts';
import type { Verbs } from '../pipeline/verbs.ts';
import { bakeSayings, deploymentSayings, type VerbLogs } from './verb-logs.ts';

export interface PipelineVerbsParts {
  readonly store: Store;
  readonly bakery: Pick<Bakery, 'start' | 'wait' | 'follow' | 'cancel'>;
  readonly checks: Pick<CheckRuns, 'start' | 'wait'>;
  readonly deployer: Pick<Deployer, 'deploy' | 'rollback' | 'wait' | 'cancel'>;
  readonly clock: Clock;
  readonly holder: string;
  readonly newId: () => string;
  readonly images: Pick<Verbs, 'scan' | 'push' | 'snapshot'>;
  readonly logs: VerbLogs;
}

/** Longer than anything waits; what ends a task is its own time-out. */
const ROUND_MS = 60_000;
const KEY_POLL_MS = 500;
const RENEW_MS = 3_000;

export function pipelineVerbs(parts: PipelineVerbsParts): Verbs {
  return {
    ...parts.images,
    bake: (wish, call, signal) => bake(parts, wish, call, signal),
    check: (wish, call, signal) => check(parts, wish, call, signal),
    promote: (wish, call) => promoteImage(parts, wish, call),
    async deploy(wish, call, signal) {
      const { store, deployer } = parts;
      const [component, environment] = [componentName(wish.component), environmentName(wish.environment)];
      assertMay(call, environment);
      const image = await imageFor(store, component, environment, wish.image);
      const from = await store.events.revision();
      const deployment = await onceByKey(parts, call, signal, async (attempt) => {
        const request = {
          component,
          environment,
          what: { image },
          onConflict: 'queue',
          actor: call.actor,
        } as const;
        const outcome = await deployer.deploy({ ...request, attempt });
        return outcome.kind === 'unchanged' ? outcome.release.number : outcome.deployment;
      });
      const { version } = image;
      if (typeof deployment === 'number')
        return { component, environment, release: deployment, version, changed: false };
      const { to } = await settled(parts, { deployment, from }, call, signal);
      return { component, environment, release: to, version, changed: true };
    },
    async rollback(wish, call, signal) {
      const [component, environment] = [componentName(wish.component), environmentName(wish.environment)];
      assertMay(call, environment);
      const request = { component, environment, onConflict: 'queue', actor: call.actor } as const;
      const to = wish.to === undefined ? {} : { to: wish.to };
      const from = await parts.store.events.revision();
      const deployment = await onceByKey(parts, call, signal, (attempt) =>
        parts.deployer.rollback({ ...request, ...to, attempt }),
      );
      const ended = await settled(parts, { deployment, from }, call, signal);
      return { component, environment, release: ended.to };
    },
  };
}

function assertMay({ actor, rights }: TaskCall, environment: EnvironmentName): void {
  const { role = 'viewer', environments = [] } = rights ?? {};
  assertEnvironment({ name: actor, role, environments }, environment);
}

async function bake(
  { bakery, logs }: PipelineVerbsParts,
  { directory, version, kind }: Parameters<Verbs['bake']>[0],
  call: TaskCall,
  signal: AbortSignal,
): Promise<Json> {
  const { actor } = call;
  const request = { directory, verify: false, actor, ...(version !== undefined && { version }) };
  const { id } = await bakery.start(request);
  return logs.within(
    call,
    ({ cut }) => bakeSayings(bakery.follow(id, cut)),
    () => baked(bakery, id, kind, signal),
  );
}

async function baked(
  bakery: PipelineVerbsParts['bakery'],
  id: BakeId,
  kind: Parameters<Verbs['bake']>[0]['kind'],
  signal: AbortSignal,
): Promise<Json> {
  try {
    for (;;) {
      const { outcome } = await bakery.wait(id, ROUND_MS, signal);
      if (outcome === undefined) continue;
      if (outcome.kind === 'failed') throw outcome.error;
      const { image } = outcome;
      if (kind !== undefined && !image.artifacts.some((artifact) => artifact.kind === kind)) {
        throw new KilnError('image.unfit', `${image.component} is not baked as a ${kind}.`, {
          next: `Write image.kind: ${kind} in its kiln.yaml, or use the task bake.`,
        });
      }
      return {
        id: image.id,
        component: image.component,
        version: image.version,
        changed: outcome.kind === 'baked',
      };
    }
  } catch (error) {
    if (signal.aborted) bakery.cancel(id);
    throw error;
  }
}

async function check(
  { store, checks }: PipelineVerbsParts,
  wish: Parameters<Verbs['check']>[0],
  { actor }: TaskCall,
  signal: AbortSignal,
): Promise<Json> {
  const what =
    'image' in wish
      ? { image: await resolveImage(store, wish.image) }
      : { component: componentName(wish.component), environment: environmentName(wish.environment) };
  // An image keeps its result: checked once is checked.
  if ('image' in what && asTested(what.image) !== undefined) return { passed: true, again: false };
  const { id } = await checks.start({ what, actor });
  for (;;) {
    const run = await checks.wait(id, ROUND_MS, signal);
    signal.throwIfAborted();
    if (run.state === 'running') continue;
    if (run.failure !== undefined) throw run.failure;
    const failures = run.results.flatMap((result) => result.failures);
    if (run.state === 'passed') return { passed: true, again: true };
    throw new KilnError(
      'check.failed',
      `${failures.length} checks failed: ${failures.join('; ')}`.slice(0, 4_000),
    );
  }
}

async function promoteImage(
  { store, clock }: PipelineVerbsParts,
  wish: Parameters<Verbs['promote']>[0],
  { key, actor, again }: TaskCall,
): Promise<Json> {
  const image = await resolveImage(store, wish.image);
  const { component, version } = image;
  const channel = channelName(wish.channel);
  const why = `pipeline execution ${key}`;
  // Moved before its server ended; the channel may have gone on since, and must not be moved back.
  const history = again ? await store.channels.history(component, channel) : [];
  if (history.some((move) => move.why === why)) return { component, channel, version, moved: true };
  const request = { component, image, channel, why };
  const { moved } = await promote(store, request, { actor, atMs: clock.now() });
  return { component, channel, version, moved };
}

/** What was made under the task's key, by this call or by an earlier one whose server ended. */
async function onceByKey<Other>(
  parts: PipelineVerbsParts,
  { key, actor }: TaskCall,
  signal: AbortSignal,
  make: (attempt: CallAttempt) => Promise<Deployment | Other>,
): Promise<Deployment | Other> {
  const { store, clock, holder, newId } = parts;
  const call = { key: `pipeline/${key}`, actor, attempt: `${holder}:${newId()}`, requestHash: key };
  for (;;) {
    const state = await store.idempotency.begin(call, clock.now());
    if (state.kind !== 'begun') {
      await sleep(KEY_POLL_MS, undefined, { signal });
      continue;
    }
    const made =
      state.made === undefined ? undefined : await store.deployments.get(state.made as DeploymentId);
    if (made !== undefined) return made;
    if (signal.aborted) {
      await store.idempotency.forget(call);
      throw signal.reason;
    }
    const renewal = setInterval(() => {
      // Only to keep it while this is slow: who gets it otherwise makes what this then cannot.
      store.idempotency.renew(call, clock.now()).catch(() => undefined);
    }, RENEW_MS);
    try {
      return await make({ key: call.key, attempt: call.attempt });
    } finally {
      clearInterval(renewal);
      await store.idempotency.forget(call);
    }
  }
}

/** Its steps since that revision are in the task's log. */
function settled(
  parts: PipelineVerbsParts,
  { deployment: { id }, from }: { readonly deployment: Deployment; readonly from: Revision },
  call: TaskCall,
  signal: AbortSignal,
): Promise<Deployment> {
  const { store, logs } = parts;
  return logs.within(
    call,
    ({ ended }) => deploymentSayings(store.events, id, from, ended),
    () => end(parts, id, call, signal),
  );
}

async function end(
  { deployer }: PipelineVerbsParts,
  id: DeploymentId,
  { actor }: TaskCall,
  signal: AbortSignal,
): Promise<Deployment> {
  try {
    for (;;) {
      const deployment = await deployer.wait(id, ROUND_MS, signal);
      const { state, failure } = deployment;
      if (state === 'deployed') return deployment;
      if (state === 'cancelled')
        throw new KilnError('deployment.cancelled', `Deployment ${id} was cancelled (${actor}).`);
      if (state === 'failed')
        throw new KilnError('deployment.failed', failure?.message ?? `Deployment ${id} failed.`);
      signal.throwIfAborted();
    }
  } catch (error) {
    if (isCancelled(signal)) await cancelDeployment(deployer, id, actor);
    throw error;
  }
}

/** Under way, it goes back to what served before; when it has ended, there is nothing to cancel. */
async function cancelDeployment(
  deployer: PipelineVerbsParts['deployer'],
  id: DeploymentId,
  actor: string,
): Promise<void> {
  try {
    await deployer.cancel(id, actor);
  } catch (error) {
    if (!(error instanceof KilnError && error.code === 'input.conflict')) throw error;
  }
}
