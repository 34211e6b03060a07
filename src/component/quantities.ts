/** Durations, sizes and shares as people write them. Patterns are kept beside so that editors check the same rule. */

export const DURATION_PATTERN = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
export const DURATION_RULE = 'a duration with its unit, such as 500ms, 30s, 5m, 1h30m or 2d';
export const SIZE_PATTERN = /^\d+(?:\.\d+)?(?:B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;
export const SIZE_RULE = 'a size with its unit, such as 512MB or 20GiB';
export const SHARE_PATTERN = /^(?:100(?:\.0+)?|\d{1,2}(?:\.\d+)?)%$/;
export const SHARE_RULE = 'a share of the traffic, such as 5% or 12.5%';

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const UNIT_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Milliseconds, rounded; undefined when the text is not a duration. */
export function parseDurationMs(text: string): number | undefined {
  if (!DURATION_PATTERN.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  }
  return Number.isSafeInteger(Math.round(totalMs)) ? Math.round(totalMs) : undefined;
}

/** Bytes, rounded; undefined when the text is not a size. */
export function parseSizeBytes(text: string): number | undefined {
  if (!SIZE_PATTERN.test(text)) return undefined;
  const [, amount, unit] = /^([\d.]+)(\w+)$/.exec(text) ?? [];
  const bytes = Math.round(Number(amount) * (UNIT_BYTES[unit ?? ''] ?? Number.NaN));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Percent from 0 to 100; undefined when the text is not a share. */
export function parsePercent(text: string): number | undefined {
  return SHARE_PATTERN.test(text) ? Number(text.slice(0, -1)) : undefined;
}

/** The default, too, where the text is no duration: the rules have said so. */
export function durationMs(text: string | undefined, defaultMs: number): number {
  return text === undefined ? defaultMs : (parseDurationMs(text) ?? defaultMs);
}
