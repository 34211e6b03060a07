import { randomUUID } from 'node:crypto';
import { checkEnvironment } from '../checks/environment-check.ts';
import type { DeployParts } from '../deploy/parts.ts';
import { parseListen } from '../settings-addresses.ts';

/** A release has just become healthy: its checks are tried again for this long. */
const WAIT_MS = 5_000;

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
