import { z } from '@hono/zod-openapi';
import { checkResultView } from './images.ts';
import {
  atMs,
  componentNameText,
  environmentNameText,
  identifier,
  imageReferenceText,
  waitQuery,
} from './names.ts';
import { failureView } from './problem.ts';

const checkRunView = z
  .object({
    id: z.string(),
    state: z.enum(['running', 'passed', 'failed', 'error']).openapi({
      description: '`failed`: checks ran and some did not pass; `error`: they could not be run',
    }),
    image: z.string().optional(),
    component: componentNameText,
    environment: environmentNameText.optional(),
    results: z.array(checkResultView),
    failure: failureView.optional(),
    startedAtMs: atMs,
    endedAtMs: atMs.optional(),
  })
  .openapi('CheckRun');

const ofImage = z.strictObject({ image: imageReferenceText });
const ofService = z.strictObject({ component: componentNameText, environment: environmentNameText });

export const checks = {
  'checks.start': {
    body: z.union([ofImage, ofService]).openapi('CheckRequest', {
      description: 'An image by itself, or what serves in an environment',
    }),
    answer: checkRunView,
  },
  'checks.get': {
    params: z.strictObject({ id: identifier }),
    query: z.strictObject(waitQuery),
    answer: checkRunView,
  },
};
