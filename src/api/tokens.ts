import { z } from '@hono/zod-openapi';
import { isName } from '../domain/ids.ts';
import { atMs, identifier } from './names.ts';

const roleText = z.enum(['viewer', 'worker', 'deployer', 'admin']);

const WORD_OR_STAR = /^(?:\*|[a-z][a-z0-9-]*)\/(?:\*|[a-z][a-z0-9-]*)$/;

const environmentPattern = z
  .string()
  .max(40)
  .refine(
    (text) => WORD_OR_STAR.test(text) && text.split('/').every((part) => part === '*' || isName(part)),
    {
      error: 'expected level/region with * for either part, such as stage/*',
    },
  )
  .openapi({ example: 'stage/*' });

const tokenView = z
  .object({
    id: z.string(),
    name: z.string(),
    role: roleText,
    environments: z.array(z.string()).openapi({ description: 'Of a deployer: where it may deploy' }),
    createdAtMs: atMs,
    expiresAtMs: atMs.optional(),
  })
  .openapi('Token');

export const tokens = {
  'tokens.list': { answer: z.object({ items: z.array(tokenView) }).openapi('Tokens') },
  'tokens.create': {
    body: z
      .strictObject({
        name: z
          .string()
          .min(1)
          .max(80)
          .regex(/^[\w][\w .@-]*$/, { error: 'expected letters, digits, spaces and . @ _ -' }),
        role: roleText,
        environments: z.array(environmentPattern).max(50).default([]),
        expiresAtMs: z.int().positive().optional(),
      })
      .refine((body) => body.role === 'deployer' || body.environments.length === 0, {
        path: ['environments'],
        error: 'only a deployer is limited to environments',
      })
      .refine((body) => body.role !== 'deployer' || body.environments.length > 0, {
        path: ['environments'],
        error: 'a deployer needs at least one environment; */* is every one',
      })
      .openapi('TokenRequest'),
    answer: z
      .object({
        token: tokenView,
        secret: z.string().optional().openapi({
          description:
            'Shown this once, as only its hash is kept: absent when the same Idempotency-Key asks again',
        }),
      })
      .openapi('CreatedToken'),
  },
  'tokens.delete': {
    params: z.strictObject({ id: identifier }),
    answer: z.object({ deleted: z.string() }).openapi('DeletedToken'),
  },
};
