/** Checks an image by booting it on a target, by itself, as the owner of the component's place there. */
import { randomUUID } from 'node:crypto';
import type { MachineTrials } from '../bakery/machine/boot/machine-trials.ts';
import { BAKE_ENVIRONMENT, checkImage, imageCheckService } from '../checks/image-check.ts';
import { resolveRelease } from '../config/resolve-release.ts';
import { artifactFor } from '../deploy/artifact-choice.ts';
import { targetOf } from '../deploy/group-spec.ts';
import type { DeployParts } from '../deploy/parts.ts';
import type { Lease } from '../domain/deployment.ts';
import { KilnError } from '../domain/errors.ts';
import { type Digest, type Fence, type ServiceKey, serviceParts } from '../domain/ids.ts';
import type { CheckResult, Image } from '../domain/image.ts';
import type { CheckTarget } from '../domain/ports/check-target.ts';
import type { ReleaseSettings } from '../domain/release.ts';
import { servicesOf } from './reachable.ts';

/** Renewed while a check goes on, so that one of a server that crashed keeps nobody waiting for long. */
const LEASE_MS = 60_000;
const RENEW_MS = 15_000;
const SWEEP_LIMIT_MS = 60_000;

type CheckParts = Pick<DeployParts, 'store' | 'targets' | 'clock'> & {
  readonly machines: MachineTrials;
  readonly holder: string;
};

export class ImageChecker {
  private readonly parts: CheckParts;
  private count = 0;
  /** The last one of each component that was asked for: each starts fresh, so they take turns. */
  private readonly last = new Map<ServiceKey, Promise<unknown>>();

  constructor(parts: CheckParts) {
    this.parts = parts;
  }

  async check(image: Image, signal: AbortSignal): Promise<readonly CheckResult[]> {
    const { config, settings } = resolveRelease(image, BAKE_ENVIRONMENT);
    this.count += 1;
    const release = this.count;
    const service = imageCheckService(image);
    const inItsTurn = () => {
      signal.throwIfAborted();
      return this.owning(service, (fence) =>
        this.inPlace(image, settings, signal, (place) =>
          checkImage({
            ...place,
            image,
            ...(settings.runtime === undefined ? {} : { runtime: settings.runtime }),
            fence,
            release,
            environment: settings.environment,
            files: config.files,
            clock: this.parts.clock,
            newId: randomUUID,
            signal,
          }),
        ),
      );
    };
    return this.takeTurn(service, inItsTurn);
  }

  /** Removes what checks of a server that crashed have left running. */
  async sweep(): Promise<void> {
    const { machines, store, targets, holder } = this.parts;
    const signal = AbortSignal.timeout(SWEEP_LIMIT_MS);
    await machines.sweep();
    for (const target of targets.values()) {
      for (const service of await servicesOf(target, signal)) {
        if (!service.endsWith(`@${BAKE_ENVIRONMENT}`)) continue;
        const lease = await this.acquire(service);
        if (lease === undefined) continue;
        for (const group of await target.groups(service, signal))
          await target.remove(group, lease.fence, signal);
        await store.leases.release(service, holder);
      }
    }
  }

  /** On the target of its settings; a machine in a place of its own, which is there for this check alone. */
  private async inPlace<Result>(
    image: Image,
    { processes, target: targetName }: ReleaseSettings,
    signal: AbortSignal,
    work: (place: { readonly target: CheckTarget; readonly artifact: Digest }) => Promise<Result>,
  ): Promise<Result> {
    const { machines } = this.parts;
    if (image.definition.image.kind === 'machine') {
      const { digest } = await machines.bootable(image);
      const isIdle = processes.every(({ instances }) => instances.desired === 0);
      return machines.in({ isIdle }, (target) => work({ target, artifact: digest }), signal);
    }
    const target = targetOf(this.parts, targetName);
    return work({ target, artifact: (await artifactFor(image, target, signal)).digest });
  }

  private takeTurn<Result>(service: ServiceKey, work: () => Promise<Result>): Promise<Result> {
    const turn = (this.last.get(service) ?? Promise.resolve()).then(work, work);
    this.last.set(service, turn);
    const leave = (): void => {
      if (this.last.get(service) === turn) this.last.delete(service);
    };
    turn.then(leave, leave);
    return turn;
  }

  private async owning<Result>(
    service: ServiceKey,
    work: (fence: Fence) => Promise<Result>,
  ): Promise<Result> {
    const { store, holder } = this.parts;
    // One that fails leaves the rest of the lease's time for the next.
    const renewal = setInterval(() => this.acquire(service).catch(() => undefined), RENEW_MS);
    try {
      const lease = await this.acquire(service);
      if (lease === undefined) {
        throw new KilnError(
          'deployment.in-progress',
          `Another server checks ${serviceParts(service).component} now.`,
          {
            retryable: true,
            next: 'Try again when it has finished.',
          },
        );
      }
      return await work(lease.fence);
    } finally {
      clearInterval(renewal);
      await store.leases.release(service, holder);
    }
  }

  /** Whoever works a state directory is alone in it: another holder has died there, wherever in its check it was. */
  private async acquire(service: ServiceKey): Promise<Lease | undefined> {
    const { store, clock, holder } = this.parts;
    const before = store.engine === 'sqlite' ? await store.leases.holder(service) : undefined;
    if (before !== undefined && before.holder !== holder) await store.leases.release(service, before.holder);
    return store.leases.acquire(service, holder, LEASE_MS, clock.now());
  }
}
