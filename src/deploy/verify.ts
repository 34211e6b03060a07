/** Sees for itself that requests through the router are answered by the release that is about to be called deployed. */
import { KilnError } from '../domain/errors.ts';
import type { Release } from '../domain/release.ts';
import { serverGroupName } from '../domain/server-group.ts';
import type { DeployParts } from './parts.ts';

const ANSWERS_WANTED = 3;
const LIMIT_MS = 10_000;
const PAUSE_MS = 20;
const PROBE_TIMEOUT_MS = 3_000;

export async function verifyAnswers(
  parts: DeployParts,
  release: Release,
  signal: AbortSignal,
): Promise<void> {
  const giveUpAt = parts.clock.monotonic() + LIMIT_MS;
  for (const route of release.routes) {
    const path = probePath(release, route);
    const group = serverGroupName(release.component, route.process, release.environment, release.number);
    let answers = 0;
    let last = 'nobody answered';
    while (answers < ANSWERS_WANTED) {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
      const answer = await parts.router.probe(route.host, path, deadline).catch((error: unknown) => {
        signal.throwIfAborted();
        return { status: 0, instance: undefined, error };
      });
      const isOurs = answer.instance?.startsWith(group) === true;
      if (isOurs && answer.status > 0 && answer.status < 500) {
        answers += 1;
        continue;
      }
      answers = 0;
      last = `${answer.instance ?? 'the router'} answered ${answer.status}`;
      if (parts.clock.monotonic() > giveUpAt) {
        throw new KilnError(
          'deployment.failed',
          `Requests for http://${route.host}${path} are not answered by release ${release.number}: ${last}.`,
          { next: 'Look at `kiln logs`; what served before serves again.' },
        );
      }
      await parts.clock.sleep(PAUSE_MS, signal);
    }
  }
}

/** The health path where the route reaches it; else the route's own. */
function probePath(release: Release, route: Release['routes'][number]): string {
  const process = release.settings.processes.find((one) => one.name === route.process);
  const health = process?.health?.path;
  const prefix = route.path.endsWith('/') ? route.path : `${route.path}/`;
  return health?.startsWith(prefix) ? health : route.path;
}
