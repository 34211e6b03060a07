/**
 * The owner of one service: the only one that deploys, heals and drains it.
 *
 * Modes:
 *   waiting   somebody else holds the lease; look again later
 *   owning    observe → plan → act, over and over; asleep while the plan says wait
 * Everything it knows is found out by looking; what it remembers only saves work. A stale fence throws it
 * back to waiting, with its memory gone.
 */
import { asKilnError, type KilnError } from '../domain/errors.ts';
import type { Fence, ServiceKey } from '../domain/ids.ts';
import { type ActContext, act, changeOf, decide } from './act.ts';
import { groupSpec, targetOf } from './group-spec.ts';
import { emptyMemory, type Memory, type Observation, observe } from './observe.ts';
import type { DeployParts } from './parts.ts';
import { plan } from './planner/plan.ts';
import { describeStep, type Step } from './planner/steps.ts';
import { releaseOf } from './planner/world.ts';

const LEASE_MS = 15_000;
const RENEW_MS = 5_000;
/** How soon to look again while a deployment waits for something that sends no word. */
const BUSY_POLL_MS = 15;
const IDLE_POLL_MS = 5_000;
const RETRY_MIN_MS = 200;
const RETRY_MAX_MS = 10_000;

export class ServiceOwner {
  readonly service: ServiceKey;
  private readonly parts: DeployParts;
  private readonly holder: string;
  private memory: Memory = emptyMemory();
  private fence: Fence | undefined;
  private renewedAt = Number.NEGATIVE_INFINITY;
  private sequence = 0;
  private failures = 0;
  private lastProgress = '';
  private wakeUp: () => void = () => {};
  private hinted = false;

  constructor(parts: DeployParts, service: ServiceKey, holder: string) {
    this.parts = parts;
    this.service = service;
    this.holder = holder;
  }

  /** Something may have changed: look now rather than at the next poll. */
  wake(): void {
    this.hinted = true;
    this.wakeUp();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const pauseMs = await this.turn(signal);
      if (pauseMs > 0) await this.rest(pauseMs, signal);
    }
  }

  /** One look and one act; says how long there is nothing to do. */
  private async turn(signal: AbortSignal): Promise<number> {
    this.hinted = false;
    try {
      if (!(await this.holdLease(signal))) return LEASE_MS / 3;
      const pauseMs = await this.lookAndAct(signal);
      this.failures = 0;
      return pauseMs;
    } catch (thrown) {
      if (signal.aborted) return 0;
      return this.recover(asKilnError(thrown));
    }
  }

  private async holdLease(signal: AbortSignal): Promise<boolean> {
    const { clock, store } = this.parts;
    if (this.fence !== undefined && clock.monotonic() - this.renewedAt < RENEW_MS) return true;
    const lease = await store.leases.acquire(this.service, this.holder, LEASE_MS, clock.now());
    if (lease === undefined) {
      this.forget();
      return false;
    }
    this.renewedAt = clock.monotonic();
    if (lease.fence === this.fence) return true;
    this.forget();
    this.fence = lease.fence;
    await this.restate(signal);
    return true;
  }

  /** A new owner tells the targets again what is wished: the one before may have stored it and got no further. */
  private async restate(signal: AbortSignal): Promise<void> {
    const { world } = await observe(this.parts, this.service, this.memory, signal);
    for (const { wish } of world.groups) {
      if (wish === undefined || wish.desired === 0) continue;
      const spec = groupSpec(releaseOf(world, wish.release), wish);
      await targetOf(this.parts, wish.target).prepare(spec.artifact, signal);
      await targetOf(this.parts, wish.target).ensure(spec, this.fence ?? 0, { afresh: false }, signal);
    }
  }

  private forget(): void {
    this.memory = emptyMemory();
    this.fence = undefined;
    this.sequence = 0;
    this.renewedAt = Number.NEGATIVE_INFINITY;
  }

  private async lookAndAct(signal: AbortSignal): Promise<number> {
    const observation = await observe(this.parts, this.service, this.memory, signal);
    const step = plan(observation.world);
    const context = this.contextOf(observation, signal);
    await this.report(step, context);
    if (step.kind === 'wait') return this.pauseFor(step, observation);
    const released = this.renewWhile();
    try {
      await act(step, context);
    } catch (thrown) {
      await this.abandonIfDeploying(asKilnError(thrown), step, context);
    } finally {
      released();
    }
    return 0;
  }

  private contextOf(observation: Observation, signal: AbortSignal): ActContext {
    const { parts, service, memory } = this;
    const nextSequence = (): number => {
      this.sequence += 1;
      return this.sequence;
    };
    return { parts, service, memory, observation, signal, nextSequence, fence: this.fence ?? 0 };
  }

  /** Long acts (a migration, checks) outlast the lease; it is renewed beside them. */
  private renewWhile(): () => void {
    const { clock, store } = this.parts;
    const timer = setInterval(() => {
      store.leases.acquire(this.service, this.holder, LEASE_MS, clock.now()).then(
        (lease) => {
          if (lease?.fence === this.fence) this.renewedAt = clock.monotonic();
        },
        (error: unknown) =>
          this.parts.log.warn({ service: this.service, error: String(error) }, 'lease not renewed'),
      );
    }, RENEW_MS);
    return () => clearInterval(timer);
  }

  /** A step that cannot succeed abandons the deployment; one that may is tried again until the deadline. */
  private async abandonIfDeploying(error: KilnError, step: Step, context: ActContext): Promise<void> {
    const { deployment } = context.observation.world;
    const isOurs = deployment !== undefined && deployment.decisions.abandoned === undefined;
    const isFinal = !error.retryable && !OWNERSHIP_LOST.has(error.code) && error.code !== 'aborted';
    if (!isOurs || !isFinal || step.kind === 'decide' || step.kind === 'finish') throw error;
    this.parts.log.warn({ service: this.service, step: step.kind, code: error.code }, error.message);
    await decide(context, {
      abandoned: {
        atMs: this.parts.clock.now(),
        code: error.code,
        why: error.message,
        ...(error.next === undefined ? {} : { next: error.next }),
      },
    });
  }

  private async report(step: Step, context: ActContext): Promise<void> {
    const { deployment } = context.observation.world;
    const text = describeStep(step);
    if (text === undefined) return;
    const progress =
      step.kind === 'wait' && step.progress !== undefined ? `${text} (${step.progress})` : text;
    if (progress === this.lastProgress) return;
    this.lastProgress = progress;
    this.parts.log.info({ service: this.service, step: step.kind }, progress);
    if (deployment === undefined || step.kind === 'finish') return;
    const data = { step: step.kind, text: progress, service: this.service };
    await this.parts.store.deployments.progress(deployment.id, data, context.fence, changeOf(context));
  }

  private pauseFor(step: Extract<Step, { kind: 'wait' }>, { world }: Observation): number {
    const untilDue =
      step.untilMs === undefined ? Number.POSITIVE_INFINITY : Math.max(1, step.untilMs - world.nowMs);
    const changing = world.deployment !== undefined || world.groups.some(isChanging);
    return Math.min(untilDue, changing ? BUSY_POLL_MS : IDLE_POLL_MS);
  }

  private recover(error: KilnError): number {
    if (OWNERSHIP_LOST.has(error.code)) {
      this.forget();
      return RETRY_MIN_MS;
    }
    this.failures += 1;
    this.parts.log.warn({ service: this.service, code: error.code, failures: this.failures }, error.message);
    return Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.failures - 1, 10));
  }

  private async rest(ms: number, signal: AbortSignal): Promise<void> {
    if (this.hinted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.wakeUp = () => {};
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
      this.wakeUp = done;
    });
  }
}

const OWNERSHIP_LOST: ReadonlySet<string> = new Set(['fence.stale', 'lease.lost']);

function isChanging(group: Observation['world']['groups'][number]): boolean {
  return group.instances.some(
    (one) =>
      one.phase.kind === 'starting' ||
      one.phase.kind === 'stopping' ||
      one.router === 'unknown' ||
      one.inFlight > 0,
  );
}
