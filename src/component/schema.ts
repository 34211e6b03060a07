/**
 * The shape of `kiln.yaml` as people write it. The JSON Schema for editors is generated from this, and every
 * message here completes the sentence "expected …". Rules that look at several fields are in `rules.ts`.
 */
import { z } from 'zod';
import { channels } from './channel-shape.ts';
import { config } from './config-shape.ts';
import { image } from './image-shape.ts';
import { command, inside, name, paths, words } from './plain-shapes.ts';
import { instances, processes, processShape } from './process-shape.ts';
import { deploy, routes } from './traffic-shape.ts';

const environment = z.strictObject(
  {
    target: name().optional().meta({ description: 'Where instances run.', default: 'local' }),
    channel: name()
      .optional()
      .describe(
        'Only images that this channel holds or held are released here; none: any tested image. Default: proven where the level is live, else none.',
      ),
    instances: instances.optional().describe('Short for service: {instances: …}.'),
    service: processShape.optional().describe('What differs for the service.'),
    processes: processes.optional().describe('What differs for its processes.'),
    migrate: z
      .union([command(), z.literal(false)], { error: 'a command line, or false for none' })
      .optional()
      .describe('Another migration, or false for none.'),
    checks: paths().optional().describe('These checks instead.'),
    config: config
      .optional()
      .describe('Values that stand over those above, further required keys, other files.'),
    deploy: deploy.optional().describe('What differs in how it is deployed.'),
    routes: routes.optional().describe('These routes instead.'),
  },
  { error: 'a map of what differs in this environment' },
);

const ENVIRONMENT_RULE = 'level/region, such as stage/uk or live/local';
export const componentFile = z.strictObject(
  {
    component: name().describe('Name of the component.'),
    version: words(
      /^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$/,
      'a version as text, in quotes if it looks like a number',
    )
      .optional()
      .describe('Version of what is baked. Default: git describe.'),
    image: image.optional().describe('How the image is made.'),
    service: processShape.optional().describe('Short for processes: {web: …}: what takes the requests.'),
    processes: processes.optional().describe('Ways to run the image, by name.'),
    migrate: command().optional().describe('Run once per release and environment, before any traffic.'),
    checks: paths()
      .optional()
      .describe("Smoke tests in Smolder's format, run at bake, at canary and after deploy."),
    config: config.optional().describe('What instances are told at boot.'),
    deploy: deploy.optional().describe('How one release replaces another.'),
    routes: routes
      .optional()
      .describe('Which requests it gets. Default: {component}.{environment}.localhost. [] for none.'),
    environments: z
      .record(
        words(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*\/[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/, ENVIRONMENT_RULE).max(40, {
          error: 'an environment of at most 40 characters',
        }),
        environment,
        { error: 'a map of environments by level/region' },
      )
      .optional()
      .describe('What differs in an environment, by level/region.'),
    channels: channels
      .optional()
      .describe(
        'What an image must have before a channel moves forward to it, beside what the server demands.',
      ),
    pipeline: inside().optional().describe("The component's pipeline, in Amazon States Language."),
  },
  { error: 'a map of keys and values' },
);

export type ComponentFile = z.output<typeof componentFile>;
export type EnvironmentInput = z.output<typeof environment>;
