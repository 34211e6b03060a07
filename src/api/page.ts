/** How the page signs in: a code for one use, made by whoever has a token, is exchanged for a token of its own. */
import { z } from '@hono/zod-openapi';
import { atMs } from './names.ts';

const codeView = z
  .object({
    code: z
      .string()
      .openapi({ description: 'For one use, within a minute: `GET /#code=CODE` opens the page' }),
    expiresAtMs: atMs,
  })
  .openapi('PageCode');

const sessionView = z
  .object({
    name: z.string(),
    role: z.enum(['viewer', 'worker', 'deployer', 'admin']),
    environments: z.array(z.string()),
    expiresAtMs: atMs,
    secret: z.string().optional().openapi({
      description: 'The page’s own token; absent when the same Idempotency-Key asks again',
    }),
  })
  .openapi('PageSession');

export const page = {
  'page.code': { answer: codeView },
  'page.session': { answer: sessionView },
};
