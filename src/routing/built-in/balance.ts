/** Which group gets the next request, and which of its endpoints. Deterministic: no clock, no chance. */

export interface WeighedGroup {
  readonly weight: number;
  /** Running credit of smooth weighted round-robin; starts at 0. */
  credit: number;
}

/**
 * Smooth weighted round-robin (as nginx does it): over any `sum of weights` picks each group is picked exactly
 * its weight's times, evenly spread. Groups that cannot serve take no part and earn no credit meanwhile.
 */
export function nextGroup<Group extends WeighedGroup>(
  groups: readonly Group[],
  canServe: (group: Group) => boolean,
): Group | undefined {
  let total = 0;
  let best: Group | undefined;
  for (const group of groups) {
    if (group.weight <= 0 || !canServe(group)) continue;
    group.credit += group.weight;
    total += group.weight;
    if (best === undefined || group.credit > best.credit) best = group;
  }
  if (best !== undefined) best.credit -= total;
  return best;
}

/** Fewest in flight; among equals the first from `turn` on, so that idle endpoints take turns. */
export function leastBusy<Endpoint extends { readonly inFlight: number }>(
  endpoints: readonly Endpoint[],
  turn: number,
  canServe: (endpoint: Endpoint) => boolean,
): Endpoint | undefined {
  let best: Endpoint | undefined;
  for (let offset = 0; offset < endpoints.length; offset++) {
    const endpoint = endpoints[(turn + offset) % endpoints.length];
    if (endpoint === undefined || !canServe(endpoint)) continue;
    if (best === undefined || endpoint.inFlight < best.inFlight) best = endpoint;
  }
  return best;
}
