/** What is known against an image, and what is said of it. Pure. */
import type { ComponentName, ImageId } from './ids.ts';

/** From the worst down. `unknown`: whoever found it does not say. */
export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'unknown'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Finding {
  /** Of the advisory or rule: `GHSA-…`, `CVE-2024-1`, `SSH-7408`. */
  readonly id: string;
  /** Other names of the same. */
  readonly aliases: readonly string[];
  readonly severity: Severity;
  readonly summary: string;
  /** Package URL, or a path in the image. */
  readonly where?: string;
  /** The first version without it, where one is known. */
  readonly fixedIn?: string;
}

/** What one source (the advisories, or a scanner by its name) last found. */
export interface FindingSet {
  readonly image: ImageId;
  readonly source: string;
  readonly atMs: number;
  readonly findings: readonly Finding[];
}

/** Somebody's word that a finding may be there for a while. */
export interface Waiver {
  readonly id: string;
  /** Id or alias of the finding. */
  readonly finding: string;
  /** Absent: whichever component. */
  readonly component?: ComponentName;
  readonly why: string;
  readonly by: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

export interface Verdict {
  readonly passed: boolean;
  /** At least as bad as the policy allows, and waived by nobody. */
  readonly blocking: readonly Finding[];
  readonly waived: readonly { readonly finding: Finding; readonly waiver: Waiver }[];
  /** All others. */
  readonly noted: readonly Finding[];
}

/** @param worst findings as bad as this, or worse, do not pass */
export function judge(
  component: ComponentName,
  findings: readonly Finding[],
  waivers: readonly Waiver[],
  worst: Severity,
  nowMs: number,
): Verdict {
  const valid = waivers.filter(
    (waiver) =>
      waiver.expiresAtMs > nowMs && (waiver.component === undefined || waiver.component === component),
  );
  const blocking: Finding[] = [];
  const waived: { finding: Finding; waiver: Waiver }[] = [];
  const noted: Finding[] = [];
  for (const finding of findings) {
    if (SEVERITIES.indexOf(finding.severity) > SEVERITIES.indexOf(worst)) {
      noted.push(finding);
      continue;
    }
    const names = [finding.id, ...finding.aliases];
    const waiver = valid.find((one) => names.includes(one.finding));
    if (waiver === undefined) blocking.push(finding);
    else waived.push({ finding, waiver });
  }
  return { passed: blocking.length === 0, blocking, waived, noted };
}

/** On one line. */
export function findingText({ id, severity, where, fixedIn, summary }: Finding): string {
  const place = where === undefined ? '' : ` in ${where}`;
  const fixed = fixedIn === undefined ? '' : ` (fixed in ${fixedIn})`;
  return `${id} ${severity}${place}${fixed}: ${summary}`;
}
