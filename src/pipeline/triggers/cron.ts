/** Cron expressions as crontab(5) has them: five fields, names, ranges, steps, lists, and `@daily` and its kin. */
import { KilnError } from '../../domain/errors.ts';

export interface Cron {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: ReadonlySet<number>;
  /** From 1. */
  readonly months: ReadonlySet<number>;
  /** Sunday is 0. */
  readonly weekdays: ReadonlySet<number>;
  /** Days of the month and of the week are both given: either is enough. */
  readonly eitherDay: boolean;
  /** The hour begins with `*`: it means every so many hours, and no hour of the day. */
  readonly everyHour: boolean;
}

const MACROS: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
};
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
/** Longest months: what is later in a month never comes. */
const LENGTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Throws KilnError (`input.invalid`). */
export function parseCron(text: string): Cron {
  const fields = (MACROS[text.trim().toLowerCase()] ?? text).trim().split(/\s+/);
  const [minute, hour, day, month, weekday] = fields;
  if (
    minute === undefined ||
    hour === undefined ||
    day === undefined ||
    month === undefined ||
    weekday === undefined ||
    fields.length > 5
  ) {
    throw refused(text, 'it needs five fields: minute, hour, day of the month, month, day of the week');
  }
  const numbers = (field: string, least: number, most: number, names: readonly string[] = []) =>
    fieldNumbers(field, least, most, names) ?? refuse(text, field);
  const days = new Set(numbers(day, 1, 31));
  const months = new Set(numbers(month, 1, 12, ['', ...MONTHS]));
  const weekdays = new Set(numbers(weekday, 0, 7, WEEKDAYS).map((number) => number % 7));
  const eitherDay = !day.startsWith('*') && !weekday.startsWith('*');
  const comes = eitherDay || [...months].some((one) => Math.min(...days) <= (LENGTHS[one - 1] ?? 0));
  if (!comes) throw refused(text, 'no month has such a day');
  return {
    minutes: numbers(minute, 0, 59),
    hours: numbers(hour, 0, 23),
    days,
    months,
    weekdays,
    eitherDay,
    everyHour: hour.startsWith('*'),
  };
}

/** In ascending order; undefined: it cannot be read. */
function fieldNumbers(
  field: string,
  least: number,
  most: number,
  names: readonly string[],
): readonly number[] | undefined {
  const found = new Set<number>();
  for (const part of field.toLowerCase().split(',')) {
    const [, from = '', to, step] = /^(\*|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(part) ?? [];
    const first = from === '*' ? least : numberOf(from, names);
    const last = to === undefined ? (from === '*' || step !== undefined ? most : first) : numberOf(to, names);
    const by = step === undefined ? 1 : Number(step);
    if (first === undefined || last === undefined || (from === '*' && to !== undefined)) return undefined;
    if (first < least || last > most || first > last || by < 1) return undefined;
    for (let number = first; number <= last; number += by) found.add(number);
  }
  return [...found].sort((one, other) => one - other);
}

function numberOf(text: string, names: readonly string[]): number | undefined {
  if (/^\d{1,2}$/.test(text)) return Number(text);
  const at = text === '' ? -1 : names.indexOf(text);
  return at < 0 ? undefined : at;
}

function refuse(text: string, field: string): never {
  throw refused(text, `"${field}" cannot be read`);
}

function refused(text: string, why: string): KilnError {
  return new KilnError('input.invalid', `"${text}" is not a schedule: ${why}.`, {
    next: 'Write it as in crontab, such as "30 4 * * 1-5".',
  });
}
