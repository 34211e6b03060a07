/**
 * When a schedule is due next. Pure.
 *
 * Where clocks are set forward or back:
 *   - A schedule at hours of the day (`30 2 * * *`) is due once on each of its days. A time that the day does not have
 *     is due when the clock has been set forward; one that it has twice is due the first time.
 *   - A schedule of every so many hours (its hour begins with `*`) is due at whatever time the clock shows: not at times
 *     that it leaves out, and twice at those that it shows twice.
 * So nothing daily is left out or done twice, and nothing hourly has a gap or a crowd.
 */
import type { Cron } from './cron.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 3_600_000;
/** The 29th of February is eight years away at most. */
const DAYS_LOOKED_AT = 9 * 366;

/** Unix times in milliseconds, the answer later than `afterMs`. Undefined: never. */
export function nextTime(cron: Cron, timeZone: string, afterMs: number): number | undefined {
  const zone = new Zone(timeZone);
  const first = startOfDay(zone.wallAt(afterMs)) - DAY_MS;
  for (let at = 0; at < DAYS_LOOKED_AT; at += 1) {
    const day = first + at * DAY_MS;
    if (!isDue(cron, day)) continue;
    const found = timesOf(cron, zone, day, afterMs);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The last one that was due in (`afterMs`, `untilMs`]. */
export function lastTime(cron: Cron, timeZone: string, afterMs: number, untilMs: number): number | undefined {
  // From near to far, so that a frequent schedule is not followed through a long time that nobody was there.
  for (let windowMs = 3_600_000; ; windowMs *= 24) {
    let last: number | undefined;
    const from = Math.max(afterMs, untilMs - windowMs);
    for (
      let next = nextTime(cron, timeZone, from);
      next !== undefined && next <= untilMs;
      next = nextTime(cron, timeZone, next)
    ) {
      last = next;
    }
    if (last !== undefined || from === afterMs) return last;
  }
}

/** A day is the wall clock's, written as the Unix time that it would be in UTC. */
function isDue({ days, months, weekdays, eitherDay }: Cron, day: number): boolean {
  const date = new Date(day);
  if (!months.has(date.getUTCMonth() + 1)) return false;
  const [byDay, byWeekday] = [days.has(date.getUTCDate()), weekdays.has(date.getUTCDay())];
  return eitherDay ? byDay || byWeekday : byDay && byWeekday;
}

/** The first of the day's times that is later than `afterMs`. */
function timesOf(cron: Cron, zone: Zone, day: number, afterMs: number): number | undefined {
  const steady = zone.steadyOffset(day);
  let found: number | undefined;
  for (const hour of cron.hours) {
    for (const minute of cron.minutes) {
      const wall = day + (hour * 60 + minute) * MINUTE_MS;
      if (steady !== undefined) {
        if (wall - steady > afterMs) return wall - steady;
        continue;
      }
      // Around a change of the clock the order of instants is not that of the clock's times.
      for (const instant of instantsOf(cron, zone, wall)) {
        if (instant > afterMs && (found === undefined || instant < found)) found = instant;
      }
    }
  }
  return found;
}

function instantsOf({ everyHour }: Cron, zone: Zone, wall: number): readonly number[] {
  const instants = zone.instantsAt(wall);
  if (everyHour) return instants;
  const [earliest = zone.changeAround(wall)] = instants;
  return [earliest];
}

function startOfDay(wall: number): number {
  return Math.floor(wall / DAY_MS) * DAY_MS;
}

const FORMATS = new Map<string, Intl.DateTimeFormat>();

class Zone {
  readonly #format: Intl.DateTimeFormat;

  constructor(timeZone: string) {
    const known = FORMATS.get(timeZone);
    this.#format =
      known ??
      new Intl.DateTimeFormat('en-US', {
        timeZone,
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      });
    if (known === undefined) FORMATS.set(timeZone, this.#format);
  }

  /** What the clock shows then, written as the Unix time that it would be in UTC. */
  wallAt(instantMs: number): number {
    const parts = new Map(
      this.#format.formatToParts(instantMs).map(({ type, value }) => [type, Number(value)]),
    );
    const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    const date = Date.UTC(part('year'), part('month') - 1, part('day'));
    return date + ((part('hour') * 60 + part('minute')) * 60 + part('second')) * 1_000;
  }

  /** The clock's distance from UTC all through the day and those beside it; undefined: it changes. */
  steadyOffset(day: number): number | undefined {
    const offsets = [-1, 0, 1, 2].map((days) => this.#offsetAt(day + days * DAY_MS));
    return new Set(offsets).size === 1 ? offsets[0] : undefined;
  }

  /** When the clock shows it, in order: once, twice, or never. */
  instantsAt(wall: number): readonly number[] {
    const offsets = new Set([this.#offsetAt(wall - DAY_MS), this.#offsetAt(wall + DAY_MS)]);
    return [...offsets]
      .map((offset) => wall - offset)
      .filter((instant) => this.wallAt(instant) === wall)
      .sort((one, other) => one - other);
  }

  /** When the clock is set over a time that it never shows. */
  changeAround(wall: number): number {
    let [before, after] = [wall - DAY_MS - 1_000, wall + DAY_MS];
    while (after - before > 1_000) {
      const middle = Math.floor((before + after) / 2_000) * 1_000;
      if (this.wallAt(middle) > wall) after = middle;
      else before = middle;
    }
    return after;
  }

  #offsetAt(instantMs: number): number {
    return this.wallAt(instantMs) - Math.floor(instantMs / 1_000) * 1_000;
  }
}
