/** What instances are told at boot, as people write it in `kiln.yaml`. */
import { z } from 'zod';
import { configKey, inside, list, scalar } from './plain-shapes.ts';

export const config = z.strictObject(
  {
    required: list(configKey(), 'a list of keys')
      .optional()
      .describe('Keys without which nothing is released.'),
    values: z
      .record(configKey(), scalar, { error: 'a map of keys and values' })
      .optional()
      .describe('Values by key; those of an environment stand over these. No secrets.'),
    env: z
      .union([z.literal('all', { error: '"all", or a list of keys' }), list(configKey(), 'a list of keys')], {
        error: '"all", or a list of keys',
      })
      .optional()
      .meta({ description: 'Keys given as environment variables too: db_url as DB_URL.', default: 'all' }),
    files: list(
      z.strictObject(
        {
          template: inside().describe('A Liquid template of the component.'),
          path: inside().describe("Where the rendered file appears in the app's folder."),
        },
        { error: 'a file: {template, path}' },
      ),
      'a list of files',
    )
      .optional()
      .describe('Files rendered from templates when an instance starts.'),
  },
  { error: 'a map: {required, values, env, files}' },
);

export type ConfigInput = z.output<typeof config>;
