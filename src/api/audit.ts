import { z } from '@hono/zod-openapi';
import { atMs, pageOf, pageQuery } from './names.ts';

const auditEntryView = z
  .object({
    revision: z.int(),
    atMs,
    actor: z.string(),
    action: z.string(),
    subject: z.string(),
    detail: z.record(z.string(), z.unknown()),
    hash: z.string().openapi({ description: 'Covers this line and the hash of the one before' }),
  })
  .openapi('AuditEntry');

export const audit = {
  'audit.list': { query: z.strictObject(pageQuery), answer: pageOf(auditEntryView).openapi('AuditPage') },
  'audit.verify': {
    answer: z
      .object({
        whole: z.boolean(),
        firstBroken: z.int().optional().openapi({ description: 'First revision that does not fit' }),
      })
      .openapi('AuditVerdict'),
  },
};
