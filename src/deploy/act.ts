/** Takes one step of the planner in the real world. Each act is safe to repeat and carries the owner's fence. */

import type { Change } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import { type Fence, type ServiceKey, serviceKey } from '../domain/ids.ts';
import type { Release } from '../domain/release.ts';
import { diagnose } from './diagnose.ts';
import { groupSpec, targetOf } from './group-spec.ts';
import type { Memory, Observation } from './observe.ts';
import type { DeployParts } from './parts.ts';
import type { Step } from './planner/steps.ts';
import { releaseOf, type World } from './planner/world.ts';
import { verifyAnswers } from './verify.ts';

/** Longest a migration may run. */
const MIGRATION_TIMEOUT_MS = 15 * 60_000;

export interface ActContext {
  readonly parts: DeployParts;
  readonly service: ServiceKey;
  readonly fence: Fence;
  readonly memory: Memory;
  readonly observation: Observation;
  readonly nextSequence: () => number;
  readonly signal: AbortSignal;
}

type Act = Exclude<Step, { kind: 'wait' }>;

export async function act(step: Act, context: ActContext): Promise<void> {
  const { parts, service, fence, observation } = context;
  const { world } = observation;
  const change = changeOf(context);
  const { store } = parts;
  switch (step.kind) {
    case 'publish':
      return publish(context);
    case 'start-next':
      await store.deployments.startNext(service, fence, change);
      return;
    case 'decide':
      await decide(context, await withDiagnosis(step.decisions, context));
      return;
    case 'prepare':
      return prepare(context, releaseOf(world, step.release));
    case 'migrate':
      return migrate(context, releaseOf(world, step.release));
    case 'scale':
    case 'drain':
    case 'keep-warm':
      await store.services.putGroup(step.group, fence, change);
      if (step.kind !== 'keep-warm') await ensure(context, step.group, step.kind === 'scale');
      return;
    case 'retire': {
      const release = releaseOf(world, step.group.release);
      const spec = groupSpec(release, step.group, step.instances);
      await targetOf(parts, step.group.target).ensure(spec, fence, { afresh: false }, context.signal);
      await store.services.putGroup(step.group, fence, change);
      return;
    }
    case 'shift':
      await store.services.setWeights(service, step.weights, fence, change);
      return;
    case 'verify':
      await verifyAnswers(parts, releaseOf(world, step.release), context.signal);
      await decide(context, { verifiedAtMs: parts.clock.now() });
      return;
    case 'check':
      return check(context, releaseOf(world, step.release));
    case 'remove-group':
      return removeGroup(context, step.group);
    case 'mark-bad':
      return store.releases.markBad(service, step.release, step.why, fence, change);
    case 'finish':
      await store.deployments.finish(
        deploymentId(world),
        { state: step.state, failure: step.failure },
        fence,
        change,
      );
      return;
  }
}

export function changeOf(context: Pick<ActContext, 'parts' | 'observation'>): Change {
  const actor = context.observation.world.deployment?.createdBy ?? 'kiln';
  return { actor, atMs: context.parts.clock.now() };
}

export async function decide(
  context: ActContext,
  decisions: Extract<Step, { kind: 'decide' }>['decisions'],
): Promise<void> {
  const { store } = context.parts;
  await store.deployments.decide(
    deploymentId(context.observation.world),
    decisions,
    context.fence,
    changeOf(context),
  );
}

/** What was seen of the release is said with the reason: its instances and their logs go with the deployment. */
async function withDiagnosis(
  decisions: Extract<Step, { kind: 'decide' }>['decisions'],
  { parts, observation, signal }: ActContext,
): Promise<typeof decisions> {
  const { abandoned } = decisions;
  const { deployment } = observation.world;
  if (abandoned === undefined || deployment === undefined || abandoned.code === 'deployment.cancelled') {
    return decisions;
  }
  const seen = await diagnose(parts, observation.world, deployment.to, signal);
  return { ...decisions, abandoned: { ...abandoned, why: [abandoned.why, ...seen].join('\n') } };
}

function deploymentId(world: World): NonNullable<World['deployment']>['id'] {
  if (world.deployment === undefined) throw new KilnError('internal', 'No deployment runs.');
  return world.deployment.id;
}

async function publish(context: ActContext): Promise<void> {
  const { parts, service, fence, memory, observation, signal } = context;
  const generation = { fence, sequence: context.nextSequence() };
  const { wanted } = observation;
  if (wanted.routes.length === 0 && wanted.pools.length === 0) {
    await parts.router.withdraw(service, generation, signal);
  } else {
    await parts.router.apply({ ...wanted, generation }, signal);
  }
  memory.applied = JSON.stringify(wanted);
}

async function prepare(context: ActContext, release: Release): Promise<void> {
  await targetOf(context.parts, release.settings.target).prepare(release.artifact, context.signal);
  context.memory.prepared.add(release.number);
}

async function ensure(
  context: ActContext,
  wish: Extract<Step, { kind: 'scale' }>['group'],
  isScale: boolean,
): Promise<void> {
  const { parts, fence, observation, signal } = context;
  const spec = groupSpec(releaseOf(observation.world, wish.release), wish);
  const afresh = isScale && observation.world.deployment !== undefined;
  await targetOf(parts, wish.target).ensure(spec, fence, { afresh }, signal);
}

async function migrate(context: ActContext, release: Release): Promise<void> {
  const { parts, fence, signal } = context;
  const command = release.settings.migrate;
  const { processes, target } = release.settings;
  const process = processes.find((one) => one.volumes.length > 0) ?? processes[0];
  if (command === undefined || process === undefined) return;
  if (await hasMigrated(context, release)) {
    return decide(context, { migratedAtMs: parts.clock.now() });
  }
  const service = serviceKey(release.component, release.environment);
  const spec = groupSpec(release, {
    name: `${release.component}-migrate-v${release.number}` as Extract<
      Step,
      { kind: 'scale' }
    >['group']['name'],
    component: release.component,
    environment: release.environment,
    process: process.name,
    release: release.number,
    role: 'main',
    target,
    desired: 0,
    leaving: [],
  });
  // A failed one is tried again only because somebody asks for the release again.
  const key = `${service}#${release.number}#migrate#${deploymentId(context.observation.world)}`;
  const result = await targetOf(parts, target).runOnce(
    spec,
    command,
    key,
    fence,
    MIGRATION_TIMEOUT_MS,
    signal,
  );
  if (result.exitCode !== 0) {
    throw new KilnError(
      'migrate.failed',
      `The migration "${command}" ended with exit code ${result.exitCode}:\n${result.logTail.join('\n')}`,
      {
        next: 'Correct the migration, bake again and deploy; nothing has been shifted.',
      },
    );
  }
  await decide(context, { migratedAtMs: parts.clock.now() });
}

/** Whether an earlier deployment of this very release has migrated, however it ended after that. */
async function hasMigrated({ parts }: ActContext, release: Release): Promise<boolean> {
  const { component, environment, number } = release;
  let cursor: string | undefined;
  do {
    const page = await parts.store.deployments.list(
      { component, environment },
      { limit: 100, ...(cursor === undefined ? {} : { cursor }) },
    );
    for (const { to, decisions, createdAtMs } of page.items) {
      if (to === number && decisions.migratedAtMs !== undefined) return true;
      if (createdAtMs < release.createdAtMs) return false;
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  return false;
}

async function check(context: ActContext, release: Release): Promise<void> {
  const { parts, signal } = context;
  const results = await parts.checkRelease(release, signal);
  for (const result of results)
    await parts.store.images.recordCheck(release.image, result, changeOf(context));
  const failed = results.filter((result) => !result.passed);
  if (failed.length > 0) {
    const failures = failed.flatMap((result) => result.failures).slice(0, 5);
    throw new KilnError(
      'check.failed',
      `Smoke checks failed in ${release.environment}: ${failures.join('; ')}`,
      {
        next: 'Correct the release or its checks; what served before serves again.',
      },
    );
  }
  await decide(context, { checkedAtMs: parts.clock.now() });
}

/** Out of the routers first: what is not in the store any more is not in the table. */
async function removeGroup(
  context: ActContext,
  name: Extract<Step, { kind: 'remove-group' }>['group'],
): Promise<void> {
  const { parts, service, fence, observation, signal } = context;
  const wish = observation.world.groups.find((group) => group.name === name)?.wish;
  if (wish !== undefined) {
    await targetOf(parts, wish.target).remove(name, fence, signal);
    await parts.store.services.deleteGroup(service, name, fence, changeOf(context));
    return;
  }
  for (const target of parts.targets.values()) {
    const names = await target.groups(service, signal);
    if (names.includes(name)) await target.remove(name, fence, signal);
  }
}
