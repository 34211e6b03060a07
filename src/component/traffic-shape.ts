/** How releases replace one another, and which requests they get, as people write it in `kiln.yaml`. */
import { z } from 'zod';
import { duration, list, name, urlPath, whole, words } from './plain-shapes.ts';
import { SHARE_PATTERN, SHARE_RULE } from './quantities.ts';

const STRATEGIES = ['blue-green', 'rolling', 'canary'] as const;
export const deploy = z.strictObject(
  {
    strategy: z
      .enum(STRATEGIES, { error: STRATEGIES.join(', ') })
      .optional()
      .meta({ description: 'How one release replaces another.', default: 'blue-green' }),
    keepWarm: duration().optional().meta({
      description: 'How long the replaced release is kept running for an instant rollback.',
      default: '10m',
    }),
    timeout: duration()
      .optional()
      .meta({ description: 'Limit from the first step to "deployed".', default: '5m' }),
    batch: whole(1, 1000)
      .optional()
      .meta({ description: 'rolling: how many instances are replaced at a time.', default: 1 }),
    steps: list(words(SHARE_PATTERN, SHARE_RULE), 'a list of shares, such as [5%, 25%, 50%]')
      .optional()
      .meta({ description: 'canary: shares of the traffic, one after another.', default: ['10%', '50%'] }),
    every: duration().optional().meta({ description: 'canary: how long each share is held.', default: '5m' }),
  },
  { error: 'a map: {strategy, …}' },
);

const HOST_RULE =
  'a lower-case host name without port; {component}, {environment}, {level} and {region} are replaced';
const HOST =
  /^(?=.{1,253}$)(?:[a-z0-9]|\{(?:component|environment|level|region)\})(?:[a-z0-9.-]|\{(?:component|environment|level|region)\})*$/;
export const routes = list(
  z.strictObject(
    {
      host: words(HOST, HOST_RULE).describe(
        'Host name. {component}, {environment} (the level, and -region unless it is local), {level} and {region} are replaced.',
      ),
      path: urlPath()
        .optional()
        .meta({ description: 'Path prefix, at a / boundary. The longest one wins.', default: '/' }),
      process: name().optional().meta({ description: 'The process that answers.', default: 'web' }),
    },
    { error: 'a route: {host, path, process}' },
  ),
  'a list of routes',
);

export type DeployInput = z.output<typeof deploy>;
export type RoutesInput = z.output<typeof routes>;
