/** Advisories in OSV's format (https://ossf.github.io/osv-schema/), as far as matching needs them. */
import { z } from 'zod';
import type { Severity } from '../../domain/finding.ts';
import { cvss3Severity } from './cvss.ts';

const eventSchema = z.object({
  introduced: z.string().optional(),
  fixed: z.string().optional(),
  last_affected: z.string().optional(),
  limit: z.string().optional(),
});
const severitySchema = z.array(z.object({ type: z.string(), score: z.string() }));
const specificSchema = z.looseObject({ severity: z.unknown().optional(), urgency: z.unknown().optional() });

const affectedSchema = z.object({
  package: z.object({ ecosystem: z.string(), name: z.string() }).optional(),
  ranges: z.array(z.object({ type: z.string(), events: z.array(eventSchema) })).default([]),
  versions: z.array(z.string()).default([]),
  severity: severitySchema.optional(),
  ecosystem_specific: specificSchema.optional(),
  database_specific: specificSchema.optional(),
});

const advisorySchema = z.object({
  id: z.string().min(1).max(200),
  aliases: z.array(z.string()).default([]),
  withdrawn: z.string().optional(),
  summary: z.string().default(''),
  details: z.string().default(''),
  severity: severitySchema.optional(),
  affected: z.array(affectedSchema).default([]),
  database_specific: specificSchema.optional(),
});

export type Advisory = z.infer<typeof advisorySchema>;
export type Affected = Advisory['affected'][number];
export type RangeEvent = z.infer<typeof eventSchema>;

/** Undefined: it is no advisory. */
export function parseAdvisory(text: string): Advisory | undefined {
  try {
    return advisorySchema.safeParse(JSON.parse(text)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const WORDS: Readonly<Record<string, Severity>> = {
  critical: 'critical',
  high: 'high',
  important: 'high',
  moderate: 'medium',
  medium: 'medium',
  low: 'low',
  unimportant: 'low',
  negligible: 'low',
};

/** The database's own word where it has one, else what the CVSS score gives. */
export function severityOf(advisory: Advisory, affected: Affected): Severity {
  const words = [
    affected.ecosystem_specific?.severity,
    affected.ecosystem_specific?.urgency,
    affected.database_specific?.severity,
    advisory.database_specific?.severity,
  ];
  for (const word of words) {
    const known = typeof word === 'string' ? WORDS[word.toLowerCase()] : undefined;
    if (known !== undefined) return known;
  }
  for (const { type, score } of affected.severity ?? advisory.severity ?? []) {
    const known = type === 'CVSS_V3' ? cvss3Severity(score) : undefined;
    if (known !== undefined) return known;
  }
  return 'unknown';
}
