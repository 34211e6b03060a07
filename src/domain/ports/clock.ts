/** Time as the parts see it; tests inject their own. */
export interface Clock {
  /** Unix time in milliseconds. May jump; anything that must survive a restart is compared with this. */
  now(): number;
  /** Milliseconds of a clock that never jumps; for durations within one process. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
