/** Ways to run the image, as people write them in `kiln.yaml`. */
import { z } from 'zod';
import { command, duration, list, name, urlPath, whole, words, yesOrNo } from './plain-shapes.ts';

/** A relative path inside the folder (no `~`, no `..`), or an absolute one without `..`. */
const MOUNT = /^(?!~)(?!\/$)(?!(?:.*\/)?\.\.(?:\/|$))[^\\\p{Cc}]+$/u;

const health = z.union(
  [
    urlPath(),
    z.strictObject(
      {
        path: urlPath()
          .optional()
          .meta({ description: 'Answers 2xx or 3xx when it can serve.', default: '/' }),
        interval: duration().optional().meta({ description: 'Time between two checks.', default: '2s' }),
        timeout: duration().optional().meta({ description: 'Limit for one answer.', default: '2s' }),
        startup: duration().optional().meta({
          description:
            'How long a new instance may take until its first passed check; longer, and its deployment fails.',
          default: '60s',
        }),
      },
      { error: 'a map: {path, interval, timeout, startup}' },
    ),
  ],
  { error: 'a path that begins with "/", or {path, interval, timeout, startup}' },
);

export const instances = z.union(
  [
    whole(0, 1000),
    z.strictObject(
      {
        min: whole(0, 1000).optional().describe('Serving capacity never falls below this. Default: desired.'),
        desired: whole(0, 1000).optional().describe('How many to begin with. Default: min, or 1.'),
        max: whole(0, 1000).optional().describe('Never more than this. Default: desired.'),
      },
      { error: 'a map: {min, desired, max}' },
    ),
  ],
  { error: 'a whole number, or {min, desired, max}' },
);

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGKILL'] as const;
const stop = z.strictObject(
  {
    signals: list(z.enum(SIGNALS, { error: `one of ${SIGNALS.join(', ')}` }), 'a list of signals')
      .min(1, { error: 'at least one signal' })
      .optional()
      .meta({
        description: 'Sent in this order until it has ended; SIGKILL always ends the list.',
        default: ['SIGTERM', 'SIGINT', 'SIGKILL'],
      }),
    grace: duration().optional().meta({ description: 'Time until the last signal.', default: '30s' }),
  },
  { error: 'a map: {signals, grace}' },
);

const volume = z.strictObject(
  {
    name: name().describe('Volumes of the same name are the same data, release after release.'),
    path: words(MOUNT, "a path in the app's folder, or an absolute path").describe(
      "Where it appears: in the app's folder, or absolute where the target can mount.",
    ),
    shared: yesOrNo()
      .optional()
      .meta({ description: 'True: several instances may hold it at once.', default: false }),
  },
  { error: 'a volume: {name, path}' },
);

const processFields = {
  run: command().optional().describe('The command line. Default for web: image.run.'),
  listens: yesOrNo()
    .optional()
    .describe('Whether it takes requests on the PORT it is given. Default: true with a port, and for web.'),
  port: whole(1, 65_535).optional().meta({
    description: 'Port inside an instance that has a network of its own. It listens on PORT in any case.',
    default: 8080,
  }),
  health: health
    .optional()
    .describe('When it can serve. Default: "/", or /service/healthcheck/gtg with standard: true.'),
  standard: yesOrNo().optional().meta({
    description: 'It answers the standard endpoints (/service/status…), and that is checked.',
    default: false,
  }),
  instances: instances.optional().meta({ description: 'How many run at once.', default: 1 }),
  stop: stop.optional().describe('How an instance is asked to end.'),
  volumes: list(volume, 'a list of volumes').optional().describe('Data that outlives instances.'),
};
export const processShape = z.strictObject(processFields, { error: 'a map: {run, instances, …}' });
export const processes = z.record(name(), processShape, { error: 'a map of processes by name' });

export type ProcessInput = z.output<typeof processShape>;
export type InstancesInput = z.output<typeof instances>;
export type HealthInput = z.output<typeof health>;
