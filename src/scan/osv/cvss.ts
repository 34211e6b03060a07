/** The base score of CVSS v3 (https://www.first.org/cvss/v3-1/specification-document, section 7.1). Pure. */
import type { Severity } from '../../domain/finding.ts';

const WEIGHTS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  AV: { N: 0.85, A: 0.62, L: 0.55, P: 0.2 },
  AC: { L: 0.77, H: 0.44 },
  UI: { N: 0.85, R: 0.62 },
  C: { H: 0.56, L: 0.22, N: 0 },
  I: { H: 0.56, L: 0.22, N: 0 },
  A: { H: 0.56, L: 0.22, N: 0 },
};
const PRIVILEGES = { N: [0.85, 0.85], L: [0.62, 0.68], H: [0.27, 0.5] } as const;

/** From a vector such as `CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H`; undefined: it is none. */
export function cvss3Score(vector: string): number | undefined {
  if (!/^CVSS:3\.[01]\//.test(vector)) return undefined;
  const metrics = new Map(
    vector.split('/').map((part) => part.split(':', 2) as [string, string | undefined]),
  );
  const weight = (name: string): number => WEIGHTS[name]?.[metrics.get(name) ?? ''] ?? Number.NaN;
  const scope = metrics.get('S');
  const changed = scope === 'C';
  const level = metrics.get('PR');
  const privileges =
    level === 'N' || level === 'L' || level === 'H' ? PRIVILEGES[level][changed ? 1 : 0] : Number.NaN;
  const loss = 1 - (1 - weight('C')) * (1 - weight('I')) * (1 - weight('A'));
  const impact = changed ? 7.52 * (loss - 0.029) - 3.25 * (loss - 0.02) ** 15 : 6.42 * loss;
  const exploitability = 8.22 * weight('AV') * weight('AC') * privileges * weight('UI');
  if (!Number.isFinite(impact + exploitability) || (scope !== 'C' && scope !== 'U')) return undefined;
  if (impact <= 0) return 0;
  return roundedUp(Math.min((changed ? 1.08 : 1) * (impact + exploitability), 10));
}

/** As the specification defines it, so that floating point changes nothing. */
function roundedUp(score: number): number {
  const scaled = Math.round(score * 100_000);
  return scaled % 10_000 === 0 ? scaled / 100_000 : (Math.floor(scaled / 10_000) + 1) / 10;
}

export function cvss3Severity(vector: string): Severity | undefined {
  const score = cvss3Score(vector);
  if (score === undefined) return undefined;
  if (score >= 9) return 'critical';
  if (score >= 7) return 'high';
  return score >= 4 ? 'medium' : 'low';
}
