/** How long the router waits, and how much it holds. */
export interface Limits {
  /** From the first byte of a request's head to its last, and from the connection to the first byte. */
  readonly requestHeadMs: number;
  /** Between two requests of a client's connection. */
  readonly idleClientMs: number;
  /** Between two pieces of a request's body. */
  readonly requestBodySilenceMs: number;
  readonly connectMs: number;
  /** How long an instance may be silent while a request of its waits or its answer flows. */
  readonly instanceSilenceMs: number;
  /** Reading on after an early answer, so that it is not lost to a reset. */
  readonly lingerMs: number;
  readonly requestHeadBytes: number;
  readonly responseHeadBytes: number;
  /** Requests that may wait for the first healthy endpoint of one pool. */
  readonly waitingRequests: number;
  /** After a start requests wait this long for the first check of a pool, whatever its holdMs. */
  readonly firstCheckMs: number;
  /** A router that has handed its listener over finishes what it has for this long. */
  readonly handoverGraceMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  requestHeadMs: 30_000,
  idleClientMs: 75_000,
  requestBodySilenceMs: 60_000,
  connectMs: 3_000,
  instanceSilenceMs: 300_000,
  lingerMs: 2_000,
  requestHeadBytes: 32 * 1024,
  responseHeadBytes: 64 * 1024,
  waitingRequests: 1_024,
  firstCheckMs: 2_000,
  handoverGraceMs: 300_000,
};
