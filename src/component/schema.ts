/**
 * The shape of `kiln.yaml` as people write it. The JSON Schema for editors is generated from this, and every
 * message here completes the sentence "expected …". Rules that look at several fields are in `rules.ts`.
 */
import { z } from 'zod';
import {
  DURATION_PATTERN,
  DURATION_RULE,
  parseDurationMs,
  parseSizeBytes,
  SHARE_PATTERN,
  SHARE_RULE,
  SIZE_PATTERN,
  SIZE_RULE,
} from './quantities.ts';

const NAME_RULE =
  'lower-case letters, digits and single dashes, beginning with a letter, at most 40 characters';
const PATH_RULE = "a path relative to the component's folder that stays inside it";
const KEY_RULE = 'letters, digits, "_" and "-", beginning with a letter';
const VARIABLE_RULE = "an environment variable's name: letters, digits and _, not beginning with a digit";
const COMMAND_RULE = 'a command line for the shell';

/** Neither absolute nor `~`, no `..`, no backslash, no control characters. */
const INSIDE = /^(?![/~])(?!(?:.*\/)?\.\.(?:\/|$))[^\\\p{Cc}]+$/u;
/** Relative as above, or absolute without `..`. */
const MOUNT = /^(?!~)(?!\/$)(?!(?:.*\/)?\.\.(?:\/|$))[^\\\p{Cc}]+$/u;

const words = (pattern: RegExp, error: string) => z.string({ error }).regex(pattern, { error });
const name = () => words(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/, NAME_RULE).max(40, { error: NAME_RULE });
const inside = () => words(INSIDE, PATH_RULE).max(1024, { error: PATH_RULE });
const configKey = () => words(/^[A-Za-z][A-Za-z0-9_-]*$/, KEY_RULE).max(128, { error: KEY_RULE });
const variable = () => words(/^[A-Za-z_][A-Za-z0-9_]*$/, VARIABLE_RULE);
const command = () =>
  words(/\S/, COMMAND_RULE)
    .max(8192, { error: COMMAND_RULE })
    .refine((text) => !text.includes('\0'), { error: COMMAND_RULE });
const yesOrNo = () => z.boolean({ error: 'true or false' });
const whole = (minimum: number, maximum: number) => {
  const error = `a whole number from ${minimum} to ${maximum}`;
  return z.int({ error }).min(minimum, { error }).max(maximum, { error });
};
const duration = () =>
  words(DURATION_PATTERN, DURATION_RULE).refine((text) => parseDurationMs(text) !== undefined, {
    error: DURATION_RULE,
  });
const size = () =>
  words(SIZE_PATTERN, SIZE_RULE).refine((text) => parseSizeBytes(text) !== undefined, { error: SIZE_RULE });
const list = <Item extends z.ZodType>(item: Item, error: string) => z.array(item, { error });
const paths = () => list(inside(), 'a list of paths');
const scalar = z.union([z.string(), z.number(), z.boolean()], {
  error: 'a text, a number, or true or false',
});

const buildStep = z.strictObject(
  {
    run: command().describe('The command line, run by /bin/sh in a clean copy of the source.'),
    inputs: paths()
      .min(1, { error: 'at least one path' })
      .optional()
      .describe(
        'Paths or globs that the step sees. With them it sees nothing else and is cached by their content.',
      ),
    outputs: paths()
      .min(1, { error: 'at least one path' })
      .optional()
      .describe('Paths that the step makes. Left out: whatever it makes.'),
    timeout: duration().optional().meta({ description: 'Limit for the step.', default: '30m' }),
  },
  { error: 'a build step: {run: …}' },
);

const provisionerTimeout = {
  timeout: duration().optional().meta({ description: 'Limit for the step.', default: '30m' }),
};
const provisioner = z.union(
  [
    z.strictObject({ run: command().describe('A command line run on the machine.'), ...provisionerTimeout }),
    z.strictObject({
      shell: inside().describe('A script of the component, run on the machine.'),
      ...provisionerTimeout,
    }),
    z.strictObject({
      file: z
        .strictObject({
          from: inside().describe('A path in the component.'),
          to: words(/^\//, 'an absolute path on the machine').describe('Where it goes on the machine.'),
        })
        .describe('A file or folder to copy.'),
      ...provisionerTimeout,
    }),
    z.strictObject({
      ansible: inside().describe('A playbook, run by ansible-local.'),
      ...provisionerTimeout,
    }),
    z.strictObject({
      puppet: inside().describe('A manifest, run by puppet-masterless.'),
      ...provisionerTimeout,
    }),
    z.strictObject({
      chef: z
        .strictObject({
          cookbooks: inside().describe('Folder of the cookbooks.'),
          runList: list(z.string(), 'a list of recipes').describe('Recipes and roles, in order.'),
        })
        .describe('Cookbooks, run by chef-solo.'),
      ...provisionerTimeout,
    }),
  ],
  { error: 'one of run, shell, file, ansible, puppet or chef' },
);

const container = z.strictObject(
  {
    dockerfile: inside().optional().meta({ description: 'The Dockerfile.', default: 'Dockerfile' }),
    stage: words(/^[A-Za-z0-9._-]+$/, "a stage's name")
      .optional()
      .describe('Stage to build. Left out: the last.'),
    args: z
      .record(variable(), scalar)
      .optional()
      .describe('Build arguments. They are kept in the image: no secrets.'),
  },
  { error: 'a map: {dockerfile, stage, args}' },
);

const machine = z.strictObject(
  {
    packer: inside()
      .optional()
      .describe("The component's own Packer template (JSON or HCL), instead of all below."),
    builder: z
      .enum(
        [
          'amazon-ebs',
          'amazon-chroot',
          'amazon-instance',
          'digitalocean',
          'docker',
          'file',
          'null',
          'chroot',
        ],
        { error: 'a kind of builder' },
      )
      .optional()
      .describe('What makes the machine image.'),
    source: z
      .string({ error: 'component@channel, or the name of an image at the provider' })
      .min(1, { error: 'component@channel, or the name of an image at the provider' })
      .optional()
      .describe('What it starts from: component@channel, or the name of an image at the provider.'),
    regions: list(name(), 'a list of regions').optional().describe("The provider's regions to bake in."),
    architectures: list(z.enum(['amd64', 'arm64'], { error: 'amd64 or arm64' }), 'a list of architectures')
      .optional()
      .meta({ description: 'Architectures to bake for.', default: ['amd64'] }),
    provisioners: list(provisioner, 'a list of steps')
      .optional()
      .describe('Steps that prepare the machine, in order.'),
    disk: size().optional().describe('Size of its disk.'),
  },
  { error: 'a map: {packer: …}, or {builder, source, …}' },
);

const image = z.strictObject(
  {
    kind: z
      .enum(['bundle', 'container', 'machine'], { error: 'bundle, container or machine' })
      .optional()
      .meta({
        description:
          'bundle: the app and its libraries, run by the host. container: from a Dockerfile. machine: a disk image.',
        default: 'bundle',
      }),
    base: words(/^[a-z][a-z0-9-]*@[a-z][a-z0-9-]*$/, 'component@channel, such as node-runtime@golden')
      .optional()
      .describe('Base image: a channel of another component, resolved to a digest when baked.'),
    build: z
      .union(
        [
          command(),
          list(
            z.union([command(), buildStep], { error: 'a command, or {run, inputs, …}' }),
            'a list of steps',
          ),
        ],
        {
          error: 'a command, or a list of steps',
        },
      )
      .optional()
      .describe('What to run in a clean copy of the source before packing: one command, or steps in order.'),
    environment: z
      .record(variable(), scalar, { error: 'a map of names and values' })
      .optional()
      .describe('Environment variables for the build commands. Part of what makes the image: no secrets.'),
    run: command().optional().describe('How the service is started. Processes may have their own.'),
    include: paths().optional().describe('Paths or globs to pack. Default: everything.'),
    exclude: paths()
      .optional()
      .describe(
        'Paths or globs to leave out besides the defaults (.git, logs, caches, temporary files); "!path" takes one back.',
      ),
    tests: paths().optional().describe('Tests run inside the fresh image: globs of .bats and .sh files.'),
    rebake: z
      .enum(['never', 'on-base-change'], { error: 'never or on-base-change' })
      .optional()
      .meta({ description: 'Whether to bake again by itself when the base moves on.', default: 'never' }),
    container: container.optional().describe('For kind: container.'),
    machine: machine.optional().describe('For kind: machine.'),
  },
  { error: 'a map: {kind, build, run, …}' },
);

const urlPath = () => words(/^\/[^\s?#]*$/, 'a path that begins with "/"');
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
          description: 'How long a new instance may take until its first passed check.',
          default: '60s',
        }),
      },
      { error: 'a map: {path, interval, timeout, startup}' },
    ),
  ],
  { error: 'a path that begins with "/", or {path, interval, timeout, startup}' },
);

const instances = z.union(
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
const processShape = z.strictObject(processFields, { error: 'a map: {run, instances, …}' });
const processes = z.record(name(), processShape, { error: 'a map of processes by name' });

const config = z.strictObject(
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

const STRATEGIES = ['blue-green', 'rolling', 'canary'] as const;
const deploy = z.strictObject(
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
const routes = list(
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
    pipeline: inside().optional().describe("The component's pipeline, in Amazon States Language."),
  },
  { error: 'a map of keys and values' },
);

export type ComponentFile = z.output<typeof componentFile>;
export type ImageInput = z.output<typeof image>;
export type MachineInput = z.output<typeof machine>;
export type ProvisionerInput = z.output<typeof provisioner>;
export type ProcessInput = z.output<typeof processShape>;
export type InstancesInput = z.output<typeof instances>;
export type HealthInput = z.output<typeof health>;
export type ConfigInput = z.output<typeof config>;
export type DeployInput = z.output<typeof deploy>;
export type RoutesInput = z.output<typeof routes>;
export type EnvironmentInput = z.output<typeof environment>;
