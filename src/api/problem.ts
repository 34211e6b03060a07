import { z } from '@hono/zod-openapi';
import { ERROR_CODES } from '../domain/errors.ts';

const fault = z
  .object({
    path: z.string(),
    message: z.string(),
    found: z.string().optional(),
    expected: z.string().optional(),
    didYouMean: z.string().optional(),
    location: z.object({ file: z.string(), line: z.int(), column: z.int() }).optional(),
  })
  .openapi('Fault', { description: 'One of possibly many faults of an input; all are reported at once' });

export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().openapi({ description: 'What happened, in one sentence' }),
    instance: z.string().optional(),
    code: z.enum(ERROR_CODES).openapi({ description: 'Stable: match on this' }),
    next: z.string().optional().openapi({ description: 'What to do' }),
    retryable: z.boolean().openapi({ description: 'The same call may succeed later' }),
    faults: z.array(fault),
    details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  })
  .openapi('Problem', { description: 'Problem details (RFC 9457)' });

/** What failed, inside an answer about work that has ended. */
export const failureView = z
  .object({
    code: z.enum(ERROR_CODES),
    message: z.string(),
    next: z.string().optional(),
    faults: z.array(fault),
    details: problem.shape.details,
  })
  .openapi('Failure');
