/** What scanners answer, as findings: SARIF 2.1.0, CycloneDX with vulnerabilities, and the report of lynis. Pure. */
import { z } from 'zod';
import type { Finding, Severity } from '../../domain/finding.ts';

export type AnswerFormat = 'sarif' | 'cyclonedx' | 'lynis';

const text = z.string().catch('');

const ruleSchema = z.object({
  id: z.string(),
  shortDescription: z.object({ text }).optional(),
  properties: z.looseObject({ 'security-severity': z.unknown().optional() }).optional(),
});
const locationSchema = z.object({
  physicalLocation: z
    .object({ artifactLocation: z.object({ uri: z.string().optional() }).optional() })
    .optional(),
});
const sarifSchema = z.object({
  version: z.string().startsWith('2.'),
  runs: z.array(
    z.object({
      tool: z.object({ driver: z.object({ rules: z.array(ruleSchema).default([]) }) }),
      results: z
        .array(
          z.object({
            ruleId: z.string().optional(),
            ruleIndex: z.number().int().optional(),
            level: z.string().optional(),
            message: z.object({ text: z.string().optional() }),
            locations: z.array(locationSchema).default([]),
          }),
        )
        .default([]),
    }),
  ),
});

const cyclonedxSchema = z.object({
  bomFormat: z.literal('CycloneDX'),
  vulnerabilities: z
    .array(
      z.object({
        id: z.string(),
        description: text.optional(),
        recommendation: text.optional(),
        references: z.array(z.object({ id: z.string() })).default([]),
        ratings: z.array(z.object({ severity: z.string().optional() })).default([]),
        affects: z.array(z.object({ ref: z.string() })).default([]),
      }),
    )
    .default([]),
});

/** Undefined: it is not in that format. */
export function findingsIn(format: AnswerFormat, answer: string): readonly Finding[] | undefined {
  if (format === 'lynis') return lynisFindings(answer);
  const value = jsonOf(answer);
  return format === 'sarif' ? sarifFindings(value) : cyclonedxFindings(value);
}

function sarifFindings(value: unknown): readonly Finding[] | undefined {
  const runs = sarifSchema.safeParse(value).data?.runs;
  return runs?.flatMap(({ tool, results }) => {
    const { rules } = tool.driver;
    return results.map((result): Finding => {
      const named = rules.find(({ id }) => id === result.ruleId);
      const rule = named ?? (result.ruleIndex === undefined ? undefined : rules[result.ruleIndex]);
      const id = result.ruleId ?? rule?.id ?? 'unnamed';
      const where = result.locations[0]?.physicalLocation?.artifactLocation?.uri;
      return {
        id,
        aliases: [],
        severity: scoreSeverity(rule?.properties?.['security-severity']) ?? levelSeverity(result.level),
        summary: firstLine(result.message.text ?? rule?.shortDescription?.text ?? id),
        ...(where === undefined ? {} : { where }),
      };
    });
  });
}

/** As code scanning services read the number. */
function scoreSeverity(score: unknown): Severity | undefined {
  const number = typeof score === 'string' || typeof score === 'number' ? Number(score) : Number.NaN;
  if (!(number > 0)) return undefined;
  if (number >= 9) return 'critical';
  if (number >= 7) return 'high';
  return number >= 4 ? 'medium' : 'low';
}

/** Without a level a result is a warning (SARIF 2.1.0, 3.27.10). */
function levelSeverity(level = 'warning'): Severity {
  if (level === 'error') return 'high';
  return level === 'warning' ? 'medium' : 'low';
}

const RATINGS: Readonly<Record<string, Severity>> = {
  critical: 'critical',
  high: 'high',
  medium: 'medium',
  low: 'low',
  info: 'low',
  none: 'low',
};
const WORST_FIRST: readonly Severity[] = ['critical', 'high', 'medium', 'low'];

function cyclonedxFindings(value: unknown): readonly Finding[] | undefined {
  const found = cyclonedxSchema.safeParse(value).data?.vulnerabilities;
  return found?.flatMap(({ id, description, references, ratings, affects }) => {
    const rated = ratings.map(({ severity = '' }) => RATINGS[severity]);
    const finding: Finding = {
      id,
      aliases: references.map((reference) => reference.id),
      severity: WORST_FIRST.find((severity) => rated.includes(severity)) ?? 'unknown',
      summary: firstLine(description ?? id),
    };
    return affects.length === 0 ? [finding] : affects.map(({ ref }) => ({ ...finding, where: ref }));
  });
}

/** `warning[]=SSH-7408|text|details|solution|`; a suggestion is the same, and less. */
function lynisFindings(report: string): readonly Finding[] | undefined {
  if (!/^lynis_version=/m.test(report)) return undefined;
  return [...report.matchAll(/^(warning|suggestion)\[\]=([^|\n]+)\|([^|\n]*)(?:\|([^|\n]*))?/gm)].map(
    ([, kind, id = '', summary = '', details = '']): Finding => ({
      id,
      aliases: [],
      severity: kind === 'warning' ? 'medium' : 'low',
      summary: firstLine(summary),
      ...(details === '' || details === '-' ? {} : { where: details }),
    }),
  );
}

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] ?? '').slice(0, 300);
}

function jsonOf(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    // Not JSON, so neither of the two: the schema says so.
    return undefined;
  }
}
