/**
 * Going back: what served before is brought to its old size, gets all traffic, and only then does the
 * abandoned release go. Where what served before cannot be healthy again within its limit, the deployment
 * ends all the same and traffic stays where it can be answered; keeping goes on from there.
 */
import type { Decisions, Deployment } from '../../domain/deployment.ts';
import type { Release } from '../../domain/release.ts';
import {
  allTrafficTo,
  canTakeOver,
  firstAct,
  letGo,
  makeRoom,
  sameWeights,
  scaleTo,
  waitForReady,
} from './groups.ts';
import type { Step } from './steps.ts';
import { groupFor, groupsOf, releaseOf, type World } from './world.ts';

export function goBack(world: World, deployment: Deployment): Step {
  const { serving } = world.service;
  if (serving === deployment.to) return end(world, deployment);
  const before = serving === undefined || world.service.stopped ? undefined : releaseOf(world, serving);
  return (
    (before === undefined ? takeTraffic(world, deployment) : restore(world, deployment, before)) ??
    removeAbandoned(world, deployment) ??
    end(world, deployment)
  );
}

/** Nothing served before: the abandoned release must not serve either. */
function takeTraffic(world: World, deployment: Deployment): Step | undefined {
  const weights: Record<string, number> = { ...world.service.weights };
  for (const group of groupsOf(world, deployment.to)) weights[group.name] = 0;
  if (sameWeights(weights, world.service.weights)) return undefined;
  return { kind: 'shift', weights, why: 'the deployment was abandoned' };
}

function restore(world: World, deployment: Deployment, before: Release): Step | undefined {
  const sizes = deployment.decisions.sizes?.from ?? {};
  const { processes } = before.settings;
  const room = makeRoom(world, before);
  if (room !== undefined) return room;
  const grow = firstAct(
    processes.map((one) => scaleTo(world, before, one, sizes[one.name] ?? one.instances.desired)),
  );
  if (grow !== undefined) return grow;
  const waits = processes.map((one) => {
    const group = groupFor(world, before.number, one.name);
    if (group?.health.kind === 'bad') return undefined;
    return waitForReady(world, group, sizes[one.name] ?? one.instances.desired);
  });
  const wait = firstAct(waits);
  if (wait?.kind === 'wait' && !isPastLimit(world, deployment, before)) {
    return { ...wait, untilMs: limitMs(deployment, before) };
  }
  const weights = allTrafficTo(world, before);
  if (sameWeights(weights, world.service.weights) || !canTakeOver(world, before)) return undefined;
  return { kind: 'shift', weights, why: `back to release ${before.number}` };
}

function limitMs(deployment: Deployment, before: Release): number {
  return (deployment.decisions.abandoned?.atMs ?? 0) + before.settings.deploy.timeoutMs;
}

function isPastLimit(world: World, deployment: Deployment, before: Release): boolean {
  return world.nowMs >= limitMs(deployment, before);
}

/** Groups of the abandoned release go, but never one that traffic still depends on. */
function removeAbandoned(world: World, deployment: Deployment): Step | undefined {
  const removable = groupsOf(world, deployment.to).filter(
    (group) => (world.service.weights[group.name] ?? 0) === 0,
  );
  return firstAct(removable.map((group) => letGo(world, group, 'the deployment was abandoned')));
}

function end(world: World, deployment: Deployment): Step {
  const abandoned: NonNullable<Decisions['abandoned']> = deployment.decisions.abandoned ?? {
    atMs: world.nowMs,
    code: 'deployment.failed',
    why: 'it was abandoned',
  };
  if (abandoned.code === 'release.bad' && releaseOf(world, deployment.to).bad === undefined) {
    const [why = abandoned.why] = abandoned.why.split('\n', 1);
    return { kind: 'mark-bad', release: deployment.to, why };
  }
  const state = abandoned.code === 'deployment.cancelled' ? 'cancelled' : 'failed';
  const { code, why: message, next } = abandoned;
  const failure = { code, message, ...(next === undefined ? {} : { next }) };
  return { kind: 'finish', state, failure };
}
