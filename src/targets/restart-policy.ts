/**
 * When a dead instance of a group is replaced, and when the group is given up. Pure.
 *
 * fresh       no end yet, or none since a stable minute: the next start is at once
 * backing off each round of ends doubles the wait: 0, 0.5 s, 1 s, 2 s … 60 s
 * bad         it cannot stay up: nothing is started until the group is asked for afresh
 *
 * Ends of instances that were started before the last decision belong to that decision's round, so that a
 * group of twenty that all die at once is as patient as a group of one. A group that once stayed up for a
 * stable minute is never called bad: then it is the world that is broken, not the release.
 */
export interface RestartLimits {
  /** Wait after the second round of ends; doubled for each further one. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** An instance that ended sooner than this never really came up. */
  readonly upAfterMs: number;
  /** After this long without an end the past is forgotten. */
  readonly stableAfterMs: number;
  /** Rounds in a row in which no instance came up that make a group bad. */
  readonly badAfterEarlyRounds: number;
  /** Rounds in a row without a stable time between that make a group bad that was never stable. */
  readonly badAfterRounds: number;
}

export const RESTART_LIMITS: RestartLimits = {
  firstDelayMs: 500,
  maxDelayMs: 60_000,
  upAfterMs: 10_000,
  stableAfterMs: 60_000,
  badAfterEarlyRounds: 5,
  badAfterRounds: 10,
};

export interface RestartHistory {
  /** Rounds of ends since the last stable time. */
  readonly rounds: number;
  /** How many of these in a row had no instance that came up. */
  readonly earlyRounds: number;
  /** Some instance lasted for the stable time. */
  readonly proven: boolean;
  /** Unix time of the end that began the current round; 0 before the first. */
  readonly roundAtMs: number;
  /** Nothing is started before this. */
  readonly notBeforeMs: number;
  readonly lastWhy?: string;
  readonly bad?: string;
}

/** One instance that ended without having been asked to. */
export interface InstanceEnd {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Another instance of the group has been up for long enough at that time. */
  readonly othersUp: boolean;
  /** False when the release is not to blame: its port was taken, or the machine went down. */
  readonly blame: boolean;
  readonly why: string;
}

export const NO_HISTORY: RestartHistory = {
  rounds: 0,
  earlyRounds: 0,
  proven: false,
  roundAtMs: 0,
  notBeforeMs: 0,
};

export function recordEnd(
  history: RestartHistory,
  end: InstanceEnd,
  limits: RestartLimits = RESTART_LIMITS,
): RestartHistory {
  const livedMs = Math.max(0, end.endedAtMs - end.startedAtMs);
  const proven = history.proven || livedMs >= limits.stableAfterMs;
  if (!end.blame) {
    const notBeforeMs = Math.max(history.notBeforeMs, end.endedAtMs + limits.firstDelayMs);
    return { ...history, proven, notBeforeMs, lastWhy: end.why };
  }
  const quietMs = end.endedAtMs - history.roundAtMs;
  const sameRound = history.rounds > 0 && end.startedAtMs < history.roundAtMs;
  const cameUp = livedMs >= limits.upAfterMs || end.othersUp;
  if (sameRound) {
    return { ...history, proven, lastWhy: end.why, earlyRounds: cameUp ? 0 : history.earlyRounds };
  }
  const stable = livedMs >= limits.stableAfterMs || quietMs >= limits.stableAfterMs + limits.maxDelayMs;
  const rounds = (stable ? 0 : history.rounds) + 1;
  const earlyRounds = cameUp ? 0 : (stable ? 0 : history.earlyRounds) + 1;
  const cannotStayUp =
    !proven && (earlyRounds >= limits.badAfterEarlyRounds || rounds >= limits.badAfterRounds);
  return {
    rounds,
    earlyRounds,
    proven,
    roundAtMs: end.endedAtMs,
    notBeforeMs: end.endedAtMs + delayMs(rounds, limits),
    lastWhy: end.why,
    ...(cannotStayUp
      ? { bad: `It ended ${rounds} times in a row without staying up; last: ${end.why}` }
      : {}),
    ...(history.bad === undefined ? {} : { bad: history.bad }),
  };
}

/** The first replacement comes at once; later ones wait twice as long as the one before. */
export function delayMs(rounds: number, limits: RestartLimits = RESTART_LIMITS): number {
  if (rounds <= 1) return 0;
  return Math.min(limits.maxDelayMs, limits.firstDelayMs * 2 ** Math.min(rounds - 2, 30));
}
