import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCron } from './cron.ts';
import { lastTime, nextTime } from './next-time.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** With the changes of their clocks near to which the properties look. */
const ZONES: readonly (readonly [string, ...string[]])[] = [
  ['Europe/London', '2026-03-29T01:00Z', '2026-10-25T01:00Z'],
  ['America/New_York', '2026-03-08T07:00Z', '2026-11-01T06:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00Z', '2026-10-03T15:30Z'],
  ['America/Sao_Paulo', '2018-11-04T03:00Z', '2018-02-18T02:00Z'],
  ['Africa/Casablanca', '2026-02-15T02:00Z', '2026-03-22T02:00Z'],
  ['Pacific/Apia', '2011-12-30T10:00Z'],
  ['Asia/Kathmandu', '2026-01-01T00:00Z'],
  ['UTC', '2026-01-01T00:00Z'],
];

const zoneAndTime = fc
  .constantFrom(...ZONES)
  .chain(([zone, ...changes]) =>
    fc.tuple(fc.constant(zone), fc.constantFrom(...changes), fc.integer({ min: -3 * 1440, max: 2 * 1440 })),
  )
  .map(([zone, change, minutes]) => ({ zone, at: Date.parse(change) + minutes * MINUTE_MS }));

const minute = fc.oneof(fc.constantFrom('0', '*/15', '*/7', '5,35', '10-20/5'), fc.nat(59).map(String));
const fixedHour = fc.oneof(fc.constantFrom('0-3', '1,2', '2-4', '23'), fc.nat(23).map(String));
const anyHour = fc.constantFrom('*', '*/2', '*/5');
const dayFields = fc.constantFrom('* * *', '* * 1-5', '1-15 * *', '29,30 * 0', '* 3,10,11 *');

interface Shown {
  readonly date: string;
  readonly day: number;
  readonly month: number;
  readonly weekday: number;
  readonly hour: number;
  readonly minute: number;
}

const clocks = new Map<string, Intl.DateTimeFormat>();
const seen = new Map<string, Shown>();

/** What the clock shows, by another way than the code under test. */
function shown(zone: string, at: number): Shown {
  const known = seen.get(`${zone} ${at}`);
  if (known !== undefined) return known;
  const clock =
    clocks.get(zone) ??
    new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' });
  clocks.set(zone, clock);
  const [date = '', time = ''] = clock.format(at).split(' ');
  const [, month = 0, day = 0] = date.split('-').map(Number);
  const [hour = 0, minutes = 0] = time.split(':').map(Number);
  const weekday = new Date(`${date}T00:00Z`).getUTCDay();
  const one = { date, day, month, weekday, hour, minute: minutes };
  seen.set(`${zone} ${at}`, one);
  return one;
}

function isShowing(cron: ReturnType<typeof parseCron>, at: Shown): boolean {
  const [byDay, byWeekday] = [cron.days.has(at.day), cron.weekdays.has(at.weekday)];
  const isDay = cron.eitherDay ? byDay || byWeekday : byDay && byWeekday;
  return (
    isDay && cron.months.has(at.month) && cron.hours.includes(at.hour) && cron.minutes.includes(at.minute)
  );
}

function times(text: string, zone: string, from: number, until: number): number[] {
  const found: number[] = [];
  const cron = parseCron(text);
  for (let at = nextTime(cron, zone, from); at !== undefined && at <= until; at = nextTime(cron, zone, at)) {
    expect(at).toBeGreaterThan(found.at(-1) ?? from);
    found.push(at);
  }
  return found;
}

describe('nextTime', () => {
  it('of every so many hours is due whenever the clock shows it, and never else', () => {
    fc.assert(
      fc.property(minute, anyHour, dayFields, zoneAndTime, (minutes, hours, days, { zone, at }) => {
        const text = `${minutes} ${hours} ${days}`;
        const cron = parseCron(text);
        const expected: number[] = [];
        for (let one = at + MINUTE_MS; one <= at + DAY_MS; one += MINUTE_MS) {
          if (isShowing(cron, shown(zone, one))) expected.push(one);
        }
        expect(times(text, zone, at, at + DAY_MS)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  it('at hours of the day is due once for each of the day’s times, also for those that it has not or has twice', () => {
    fc.assert(
      fc.property(fc.nat(59), fixedHour, zoneAndTime, (minutes, hours, { zone, at }) => {
        const text = `${minutes} ${hours} * * *`;
        const cron = parseCron(text);
        const found = times(text, zone, at - DAY_MS, at + 2 * DAY_MS);
        const firsts = new Map<string, number>();
        for (let one = at - 2 * DAY_MS; one <= at + 3 * DAY_MS; one += MINUTE_MS) {
          const { date, hour, minute: minuteNow } = shown(zone, one);
          const key = `${date} ${hour}:${minuteNow}`;
          if (!firsts.has(key)) firsts.set(key, one);
        }
        const isFirst = (one: number): boolean => {
          const now = shown(zone, one);
          return isShowing(cron, now) && firsts.get(`${now.date} ${now.hour}:${now.minute}`) === one;
        };
        const isJump = (one: number): boolean => {
          const [before, now] = [shown(zone, one - MINUTE_MS), shown(zone, one)];
          const passed = (Date.parse(`${now.date}T00:00Z`) - Date.parse(`${before.date}T00:00Z`)) / MINUTE_MS;
          return passed + (now.hour - before.hour) * 60 + now.minute - before.minute > 1;
        };
        for (const one of found) expect(isFirst(one) || isJump(one)).toBe(true);
        for (const [, one] of firsts) {
          const isIn = one > at - DAY_MS && one <= at + 2 * DAY_MS;
          if (isIn && isShowing(cron, shown(zone, one))) expect(found).toContain(one);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('is the same from wherever before it one looks, and lastTime finds it back', () => {
    fc.assert(
      fc.property(
        minute,
        fc.oneof(fixedHour, anyHour),
        dayFields,
        zoneAndTime,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (minutes, hours, days, { zone, at }, share) => {
          const cron = parseCron(`${minutes} ${hours} ${days}`);
          const next = nextTime(cron, zone, at) ?? Number.NaN;
          const between = at + Math.floor((next - 1 - at) * share);
          expect(nextTime(cron, zone, between)).toBe(next);
          const after = nextTime(cron, zone, next) ?? Number.NaN;
          expect(lastTime(cron, zone, at, after - 1)).toBe(next);
          expect(lastTime(cron, zone, at, next - 1)).toBeUndefined();
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([
    // Set forward from 01:00 to 02:00, back from 02:00 to 01:00.
    ['30 1 * * *', 'Europe/London', '2026-03-28T12:00Z', '2026-03-29T01:00:00.000Z'],
    ['30 1 * * *', 'Europe/London', '2026-03-29T01:00Z', '2026-03-30T00:30:00.000Z'],
    ['30 1 * * *', 'Europe/London', '2026-10-24T12:00Z', '2026-10-25T00:30:00.000Z'],
    ['30 1 * * *', 'Europe/London', '2026-10-25T00:30Z', '2026-10-26T01:30:00.000Z'],
    ['30 * * * *', 'Europe/London', '2026-10-25T00:30Z', '2026-10-25T01:30:00.000Z'],
    // A day that there never was.
    ['0 9 * * *', 'Pacific/Apia', '2011-12-30T09:00Z', '2011-12-30T10:00:00.000Z'],
    ['0 0 29 2 *', 'UTC', '2097-01-01T00:00Z', '2104-02-29T00:00:00.000Z'],
    ['@weekly', 'Asia/Tokyo', '2026-11-21T00:00Z', '2026-11-21T15:00:00.000Z'],
    ['0 0 13 * fri', 'UTC', '2026-11-21T00:00Z', '2026-11-27T00:00:00.000Z'],
  ])('%s in %s after %s is due at %s', (text, zone, after, due) => {
    const next = nextTime(parseCron(text), zone, Date.parse(after)) ?? Number.NaN;
    expect(new Date(next).toISOString()).toBe(due);
  });

  it('finds the last of a year’s minutes at once', () => {
    const cron = parseCron('* * * * *');
    const now = Date.parse('2026-11-21T10:00Z');
    expect(lastTime(cron, 'Europe/Berlin', now - 365 * DAY_MS, now)).toBe(now);
  });
});

describe('parseCron', () => {
  it.each([
    '',
    '* * * *',
    '* * * * * *',
    '60 * * * *',
    '5-1 * * * *',
    '*/0 * * * *',
    '0 0 31 2 *',
    '0 0 * foo *',
    '*-3 * * * *',
    'x',
  ])('refuses "%s"', (text) => {
    expect(() => parseCron(text)).toThrow(expect.objectContaining({ code: 'input.invalid' }));
  });

  it('reads names, lists, ranges and steps', () => {
    const { minutes, hours, months, weekdays } = parseCron('5/20 8-18/5,23 * jan,MAR-may sun,5-7');
    expect(minutes).toEqual([5, 25, 45]);
    expect(hours).toEqual([8, 13, 18, 23]);
    expect([...months]).toEqual([1, 3, 4, 5]);
    expect([...weekdays].sort()).toEqual([0, 5, 6]);
  });
});
