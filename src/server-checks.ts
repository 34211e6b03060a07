/** Wires the checks to what runs: an image is booted on a target by itself, a release is asked through the router. */
import { randomUUID } from 'node:crypto';
import { checkEnvironment } from './checks/environment-check.ts';
import { BAKE_ENVIRONMENT, checkImage, imageCheckService } from './checks/image-check.ts';
import { resolveRelease } from './config/resolve-release.ts';
import { targetOf } from './deploy/group-spec.ts';
import type { DeployParts } from './deploy/parts.ts';
import { KilnError } from './domain/errors.ts';
import type { CheckResult, Image } from './domain/image.ts';
import { parseListen } from './settings.ts';

/** Booting, asking and stopping take less than this, or the lease is taken from the check. */
const LEASE_MS = 20 * 60_000;
const SWEEP_LIMIT_MS = 60_000;
/** A release has just become healthy: its checks are tried again for this long. */
const WAIT_MS = 5_000;

type CheckParts = Pick<DeployParts, 'store' | 'targets' | 'clock'> & { readonly holder: string };

export class ImageChecker {
  private readonly parts: CheckParts;
  private count = 0;

  constructor(parts: CheckParts) {
    this.parts = parts;
  }

  async check(image: Image, signal: AbortSignal): Promise<readonly CheckResult[]> {
    const { store, clock, holder } = this.parts;
    const artifact = image.artifacts.find((one) => one.kind === 'bundle');
    if (artifact === undefined) {
      throw new KilnError(
        'target.unsupported',
        `Image ${image.id} has no bundle, and only bundles can be booted here.`,
        {
          next: 'Bake it with `image.kind: bundle`.',
        },
      );
    }
    const service = imageCheckService(image);
    const lease = await store.leases.acquire(service, holder, LEASE_MS, clock.now());
    if (lease === undefined) {
      throw new KilnError('deployment.in-progress', `Another server checks ${image.component} now.`, {
        retryable: true,
        next: 'Try again when it has finished.',
      });
    }
    const { config, settings } = resolveRelease(image, BAKE_ENVIRONMENT);
    this.count += 1;
    return checkImage({
      image,
      artifact: artifact.digest,
      target: targetOf(this.parts, settings.target),
      fence: lease.fence,
      release: this.count,
      environment: settings.environment,
      files: config.files,
      clock,
      newId: randomUUID,
      signal,
    });
  }

  /** Removes what checks of a server that crashed have left running. */
  async sweep(): Promise<void> {
    const { store, targets, clock, holder } = this.parts;
    const signal = AbortSignal.timeout(SWEEP_LIMIT_MS);
    for (const target of targets.values()) {
      for (const service of await target.services(signal)) {
        if (!service.endsWith(`@${BAKE_ENVIRONMENT}`)) continue;
        const dead = await store.leases.holder(service);
        if (dead !== undefined && store.engine === 'sqlite') await store.leases.release(service, dead.holder);
        const lease = await store.leases.acquire(service, holder, LEASE_MS, clock.now());
        if (lease === undefined) continue;
        for (const group of await target.groups(service, signal))
          await target.remove(group, lease.fence, signal);
      }
    }
  }
}

/** The smoke checks of a release, through the router as any client would send them. */
export function releaseChecker(
  parts: Pick<DeployParts, 'store' | 'router' | 'clock'>,
): DeployParts['checkRelease'] {
  return async (release, signal) => {
    const image = await parts.store.images.get(release.image);
    const { listen } = await parts.router.status(signal);
    return checkEnvironment({
      release,
      attachments: image?.definition.attachments ?? {},
      router: parseListen(listen, 'router'),
      waitMs: WAIT_MS,
      clock: parts.clock,
      newId: randomUUID,
      signal,
    });
  };
}
