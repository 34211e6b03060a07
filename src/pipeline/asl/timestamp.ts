/** Times as the Amazon States Language writes them: RFC 3339 with an upper-case T and a zone. */

const FORM = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/;

export interface Instant {
  readonly ms: number;
  /** What goes beyond milliseconds, so that times differing by less are still told apart. */
  readonly nanos: number;
}

/** Undefined when the text is not such a time, or no such time exists. */
export function parseTimestamp(text: string): Instant | undefined {
  const parts = FORM.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = parts;
  const digits = fraction.padEnd(9, '0');
  const written = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const local = Date.parse(`${written}Z`);
  // A day that the month does not have rolls over instead of failing.
  if (Number.isNaN(local) || new Date(local).toISOString().slice(0, 19) !== written) return undefined;
  return { ms: local - zoneMs(zone) + Number(digits.slice(0, 3)), nanos: Number(digits.slice(3)) };
}

function zoneMs(zone: string): number {
  if (zone === 'Z') return 0;
  const [hours = 0, minutes = 0] = zone.slice(1).split(':').map(Number);
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

export function compareInstants(left: Instant, right: Instant): number {
  return left.ms - right.ms || left.nanos - right.nanos;
}

export function timestampOf(ms: number): string {
  return new Date(ms).toISOString();
}
