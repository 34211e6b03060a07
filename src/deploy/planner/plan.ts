/**
 * The planner: a pure function from what is observed to the next step. The reconciler takes the step,
 * observes again and asks again, so that a crash between any two steps costs nothing but time.
 *
 * Modes of a service, by its stored state:
 *   going forward   a deployment runs: bring up the new release, shift, prove it, finish as `deployed`
 *   going back      it was abandoned: what served before serves again, then finish as `failed` or `cancelled`
 *   keeping         none runs: keep the serving release at its size, let go of what it replaced
 *
 * What holds after every step:
 *   - a group gets traffic only while the routers see it healthy, and keeps it until another one has it;
 *   - no instance is stopped while a router may send to it or waits for it, but past its drain deadline;
 *   - serving capacity is never taken below the minimum, but for volumes that only one instance may hold;
 *   - `deployed` is said only of a release that was seen to answer through the router;
 *   - once abandoned, a deployment never goes forward again.
 */
import { goBack } from './back.ts';
import { goForward } from './forward.ts';
import { keep } from './keep.ts';
import type { Step } from './steps.ts';
import type { World } from './world.ts';

export function plan(world: World): Step {
  if (!world.routing.inForce) return { kind: 'publish' };
  const { deployment } = world;
  if (deployment === undefined) return keep(world);
  return deployment.decisions.abandoned === undefined
    ? goForward(world, deployment)
    : goBack(world, deployment);
}
