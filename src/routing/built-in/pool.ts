/** The groups of one process that share its traffic, and the requests that wait for the first healthy endpoint. */
import type { ServerGroupName } from '../../domain/ids.ts';
import { leastBusy, nextGroup, type WeighedGroup } from './balance.ts';
import type { RoutedEndpointState } from './endpoint.ts';

export interface GroupState extends WeighedGroup {
  readonly name: ServerGroupName;
  readonly endpoints: readonly RoutedEndpointState[];
  /** Moves on with each request of the group, so that idle endpoints take turns. */
  turn: number;
}

/** A request that waits: told to choose again, each time something became eligible. */
export interface Waiting {
  chooseAgain(): void;
}

export class PoolState {
  drainMs = 0;
  holdMs = 0;
  isWithdrawn = false;
  groups: readonly GroupState[] = [];
  readonly #waiting = new Set<Waiting>();

  get waiting(): number {
    return this.#waiting.size;
  }

  /** True while an endpoint that would get traffic awaits the result of its first check. */
  get awaitsFirstCheck(): boolean {
    return this.groups.some(
      (group) =>
        group.weight > 0 && group.endpoints.some((each) => each.health === 'unknown' && !each.isDraining),
    );
  }

  /** The endpoint for the next request; none of `tried`, which have just failed it. */
  pick(tried: ReadonlySet<RoutedEndpointState> | undefined): RoutedEndpointState | undefined {
    const canServe =
      tried === undefined || tried.size === 0
        ? takesRequests
        : (each: RoutedEndpointState) => each.takesRequests && !tried.has(each);
    const group = nextGroup(this.groups, (each) => each.endpoints.some(canServe));
    if (group === undefined) return undefined;
    group.turn = (group.turn + 1) % 0x3fffffff;
    return leastBusy(group.endpoints, group.turn, canServe);
  }

  wait(request: Waiting): void {
    this.#waiting.add(request);
  }

  leave(request: Waiting): void {
    this.#waiting.delete(request);
  }

  /** Called when an endpoint became healthy or the table changed. */
  wakeWaiting(): void {
    for (const request of [...this.#waiting]) {
      this.#waiting.delete(request);
      request.chooseAgain();
    }
  }
}

function takesRequests(endpoint: RoutedEndpointState): boolean {
  return endpoint.takesRequests;
}
