/**
 * Runs a planner through one deployment in a misbehaving world and says which invariants it broke.
 * The planner is an argument, so that the tests can be tried on planners with seeded faults.
 */

import type { Step } from '../../src/deploy/planner/steps.ts';
import {
  exclusiveVolumes,
  type GroupWorld,
  isAlive,
  isLeaving,
  isReady,
  isRouted,
  processOf,
  releaseOf,
  type World,
} from '../../src/deploy/planner/world.ts';
import { keepBusy, type Mishap, type Nature, passTime, remember, strike, take } from './nature.ts';
import { GRACE_MS } from './worlds.ts';

export interface Script {
  readonly nature: Nature;
  /** One entry a step until they run out; then the world is calm. */
  readonly mishaps: readonly { readonly mishap: Mishap; readonly pick: number }[];
}

const STEP_LIMIT = 3_000;
const CALM_STEPS = 400;

export interface Journey {
  readonly violations: readonly string[];
  readonly end: World;
  readonly outcome?: 'deployed' | 'failed' | 'cancelled';
  readonly steps: readonly string[];
}

export function travel(plan: (world: World) => Step, start: World, script: Script): Journey {
  const judge = new Judge(start);
  let world = start;
  let outcome: Journey['outcome'];
  let calm = 0;
  for (let taken = 0; ; taken += 1) {
    if (taken > STEP_LIMIT) judge.blame('it does not come to an end');
    if (judge.violations.length > 0) break;
    const next = script.mishaps[taken];
    if (next !== undefined) world = strike(world, next.mishap, next.pick);
    if (script.nature.alwaysBusy) world = keepBusy(world);
    world = remember(world);
    const step = plan(world);
    if (step.kind === 'finish') outcome = step.state;
    judge.see(world, step);
    if (step.kind === 'wait') {
      if (outcome !== undefined && next === undefined) calm += 1;
      if (
        calm > CALM_STEPS ||
        (outcome !== undefined && next === undefined && step.untilMs === undefined && isSettled(world))
      )
        break;
      world = passTime(world, waitMs(world, step), script.nature);
    } else {
      const after = take(world, step, script.nature);
      judge.compare(world, step, after);
      world = after;
    }
  }
  if (judge.violations.length === 0) judge.end(world, outcome, script);
  return {
    violations: judge.violations,
    end: world,
    steps: judge.steps,
    ...(outcome === undefined ? {} : { outcome }),
  };
}

function waitMs(world: World, step: Extract<Step, { kind: 'wait' }>): number {
  return step.untilMs === undefined ? 500 : Math.min(500, Math.max(1, step.untilMs - world.nowMs));
}

/** Nothing is starting, so nothing will change by itself. */
function isSettled(world: World): boolean {
  return world.groups.every((group) =>
    group.instances.every((one) => one.phase.kind === 'running' && one.router !== 'unknown'),
  );
}

class Judge {
  readonly violations: string[] = [];
  readonly steps: string[] = [];
  private readonly leftAtMs = new Map<string, number>();
  private verified = false;
  private abandoned = false;
  private repeated = 0;
  private readonly start: World;

  constructor(start: World) {
    this.start = start;
  }

  blame(what: string): void {
    this.violations.push(`${what}; steps: ${this.steps.slice(-12).join(' → ')}`);
  }

  /** What may be asked in this world. */
  see(world: World, step: Step): void {
    const text = step.kind === 'wait' ? `wait(${step.reason})` : step.kind;
    this.repeated = this.steps.at(-1) === text && step.kind !== 'wait' ? this.repeated + 1 : 0;
    this.steps.push(text);
    if (this.repeated > 40) this.blame(`it repeats ${step.kind}`);
    if (step.kind === 'wait' && step.untilMs !== undefined && step.untilMs <= world.nowMs)
      this.blame('it waits for the past');
    this.abandoned ||= world.deployment?.decisions.abandoned !== undefined;
    if (step.kind === 'drain') for (const one of step.group.leaving) this.left(one.instance, world.nowMs);
    if (step.kind === 'retire')
      this.seeStopped(world, (group) => (group.name === step.group.name ? step.instances : []));
    if (step.kind === 'remove-group') {
      this.seeStopped(world, (group) =>
        group.name === step.group ? group.instances.filter(isAlive).map((one) => one.id) : [],
      );
    }
    if (step.kind === 'wait') this.seePatience(world);
    if (step.kind === 'shift') this.seeShift(world, step.weights);
    if (step.kind === 'verify') this.verified = true;
    if (step.kind === 'finish') this.seeFinish(world, step);
    if (step.kind === 'start-next' && world.deployment !== undefined)
      this.blame('a second deployment begins beside the first');
  }

  private left(instance: string, nowMs: number): void {
    if (!this.leftAtMs.has(instance)) this.leftAtMs.set(instance, nowMs);
  }

  /** Invariant 2: nobody is stopped while a router may send to it or waits for it, but past its grace. */
  private seeStopped(world: World, stopped: (group: GroupWorld) => readonly string[]): void {
    for (const group of world.groups) {
      for (const id of stopped(group)) {
        const one = group.instances.find((instance) => instance.id === id);
        if (one === undefined || !isAlive(one) || one.router === 'absent') continue;
        if (!one.routerDraining) this.blame(`${id} is stopped before it was drained`);
        const leftAt = this.leftAtMs.get(id) ?? world.nowMs;
        if (one.inFlight > 0 && world.nowMs - leftAt < GRACE_MS)
          this.blame(`${id} is stopped with requests in flight`);
      }
    }
  }

  /** Invariant 2: traffic goes only to groups that are healthy as the routers see them. */
  private seeShift(world: World, weights: Readonly<Record<string, number>>): void {
    for (const group of world.groups) {
      const gains = (weights[group.name] ?? 0) > (world.service.weights[group.name] ?? 0);
      const wish = group.wish;
      if (!gains || wish === undefined) continue;
      const ready = group.instances.filter((one) => isReady(world, group, one)).length;
      const goesForward = wish.release === world.deployment?.to && !this.abandoned;
      if (goesForward && ready < wish.desired)
        this.blame(`traffic goes to ${group.name} with ${ready} of ${wish.desired} healthy`);
      if (ready === 0) this.blame(`traffic goes to ${group.name}, which nobody can answer`);
      if (this.abandoned && wish.release === world.deployment?.to)
        this.blame('an abandoned deployment goes forward');
      this.verified = false;
    }
  }

  /** Nothing new is waited for longer than its health check gives it, however long the deployment may take. */
  private seePatience(world: World): void {
    const { deployment } = world;
    if (deployment === undefined || this.abandoned) return;
    const begunMs = deployment.decisions.startedAtMs ?? world.nowMs;
    for (const group of world.groups) {
      const { wish } = group;
      if (wish?.release !== deployment.to) continue;
      const startupMs = processOf(releaseOf(world, wish.release), wish.process)?.health?.startupMs;
      if (startupMs === undefined) continue;
      const isLate = (sinceMs: number) => world.nowMs - Math.max(sinceMs, begunMs) >= startupMs;
      const late = group.instances.find(
        (one) => isAlive(one) && !one.hasBeenReady && isLate(one.startedAtMs),
      );
      if (late !== undefined) this.blame(`it waits for ${late.id} past its startup time`);
      if (group.health.kind === 'backing-off' && isLate(wish.askedAtMs ?? begunMs))
        this.blame(`it waits for ${group.name}, which keeps ending, past its startup time`);
    }
  }

  /** Invariants 3 and 4: what is said to be deployed was seen to serve, alone. */
  private seeFinish(world: World, step: Extract<Step, { kind: 'finish' }>): void {
    const { deployment } = world;
    if (deployment === undefined) {
      this.blame('it finishes what is not there');
      return;
    }
    if (step.state !== 'deployed') return;
    if (this.abandoned) this.blame('an abandoned deployment is called deployed');
    if (!this.verified) this.blame('it says deployed without having seen an answer');
    for (const group of world.groups) {
      const weight = world.routing.weights[group.name] ?? 0;
      if (weight > 0 && group.wish?.release !== deployment.to) this.blame(`${group.name} still has traffic`);
    }
    for (const process of releaseOf(world, deployment.to).settings.processes) {
      const group = world.groups.find(
        (one) => one.wish?.release === deployment.to && one.wish.process === process.name,
      );
      const ready = group?.instances.filter((one) => isReady(world, group, one)).length ?? 0;
      if (ready < process.instances.min)
        this.blame(`${process.name} is below its minimum when called deployed`);
    }
  }

  /** Invariant 2: no step takes capacity below the minimum. */
  compare(world: World, step: Step, after: World): void {
    const holders = exclusiveHolders(after);
    if (holders.length > 1) this.blame(`${step.kind} lets ${holders.join(' and ')} hold one volume`);
    if (this.isExempt(world)) return;
    const before = capacity(world);
    const left = capacity(after);
    const minimum =
      releaseOf(world, this.start.service.serving ?? world.deployment?.to ?? 1).settings.processes[0]
        ?.instances.min ?? 0;
    if (left < Math.min(minimum, before))
      this.blame(`${step.kind} takes capacity from ${before} to ${left}, minimum ${minimum}`);
  }

  /** A volume that only one instance may hold, or a first deployment that is taken back. */
  private isExempt(world: World): boolean {
    const exclusive = [...world.releases.values()].some((release) =>
      release.settings.processes.some((process) => exclusiveVolumes(process).length > 0),
    );
    return exclusive || (world.service.serving === undefined && this.abandoned);
  }

  /** Invariant 3: what served before has its old size again. */
  private seeRestored(world: World): void {
    for (const before of this.start.groups) {
      if (before.wish?.release !== this.start.service.serving) continue;
      const now = world.groups.find((group) => group.name === before.name)?.wish?.desired ?? 0;
      if (now < (before.wish?.desired ?? 0)) this.blame(`${before.name} was left at ${now}`);
    }
  }

  end(world: World, outcome: Journey['outcome'], script: Script): void {
    if (outcome === undefined) {
      this.blame('it never finished');
      return;
    }
    const serving = outcome === 'deployed' ? this.start.deployment?.to : this.start.service.serving;
    if (world.service.serving !== serving)
      this.blame(`release ${world.service.serving} serves, not ${serving}`);
    const holdsTraffic = Object.entries(world.routing.weights).filter(([, weight]) => weight > 0);
    const healthy = serving === undefined || (script.nature.tempers.get(serving) ?? 'good') === 'good';
    for (const [name] of holdsTraffic) {
      const group = world.groups.find((one) => one.name === name);
      if (healthy && group?.wish?.release !== serving) this.blame(`${name} has traffic at the end`);
    }
    if (serving !== undefined && healthy && holdsTraffic.length === 0)
      this.blame('nobody has traffic at the end');
    if (healthy && outcome !== 'deployed') this.seeRestored(world);
    const expected = serving === undefined ? 0 : releaseOf(world, serving).settings.processes.length;
    if (healthy && world.groups.length !== expected) {
      this.blame(`groups are left over at the end: ${world.groups.map((group) => group.name).join(', ')}`);
    }
  }
}

/** Groups with running instances that hold a volume which only one may hold. */
function exclusiveHolders(world: World): readonly string[] {
  return world.groups
    .filter((group) => {
      const wish = group.wish;
      if (wish === undefined || !group.instances.some(isAlive)) return false;
      return exclusiveVolumes(processOf(releaseOf(world, wish.release), wish.process)).length > 0;
    })
    .map((group) => group.name);
}

/** Instances that answer requests now: healthy as the routers see them, in a group with a share of traffic. */
function capacity(world: World): number {
  return world.groups.reduce((sum, group) => {
    const wish = group.wish;
    if (wish === undefined || (world.service.weights[group.name] ?? 0) === 0) return sum;
    const release = releaseOf(world, wish.release);
    if (!isRouted(release, wish.process) || processOf(release, wish.process) === undefined) return sum;
    return sum + group.instances.filter((one) => isReady(world, group, one) && !isLeaving(group, one)).length;
  }, 0);
}
