/** How an image is made, as people write it in `kiln.yaml`. */
import { z } from 'zod';
import { IMAGE_REFERENCE } from '../domain/component.ts';
import {
  command,
  duration,
  inside,
  list,
  name,
  paths,
  scalar,
  size,
  tagKey,
  variable,
  words,
} from './plain-shapes.ts';

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
    secrets: list(words(/^[A-Za-z0-9][\w.-]*$/, "a secret's id"), 'a list of ids')
      .optional()
      .describe(
        'Secrets that the build may mount (RUN --mount=type=secret,id=…). Their values are kept on the server.',
      ),
    ssh: z.boolean({ error: 'true or false' }).optional().meta({
      description: "Whether the build may mount the server's SSH agent (RUN --mount=type=ssh).",
      default: false,
    }),
  },
  { error: 'a map: {dockerfile, stage, args, secrets, ssh}' },
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
    user: words(/^[a-z_][a-z0-9_-]*$/, 'a name of a user')
      .optional()
      .describe('Who logs in to prepare it, where that is done over SSH.'),
    formats: list(z.enum(['squashfs', 'qcow2'], { error: 'squashfs or qcow2' }), 'a list of formats')
      .optional()
      .describe('builder chroot: forms of the root filesystem beside the tar archive.'),
    options: z
      .record(words(/^[a-z][a-z0-9_]*$/, 'an option of the builder'), z.union([scalar, z.array(scalar)]), {
        error: 'a map of options',
      })
      .optional()
      .describe(
        "What only this kind of builder knows, in its own words: an instance's type, an account. No secrets.",
      ),
  },
  { error: 'a map: {packer: …}, or {builder, source, …}' },
);

export const image = z.strictObject(
  {
    kind: z
      .enum(['bundle', 'container', 'machine'], { error: 'bundle, container or machine' })
      .optional()
      .meta({
        description:
          'bundle: the app and its libraries, run by the host. container: from a Dockerfile. machine: a disk image.',
        default: 'bundle',
      }),
    base: words(IMAGE_REFERENCE, 'component@channel, such as node-runtime@golden')
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
    runtime: words(/^[a-z0-9][\w.:/@-]*$/, 'the name of a container image, such as node:24')
      .optional()
      .describe('Container image that a bundle runs in, on targets that run containers.'),
    include: paths().optional().describe('Paths or globs to pack. Default: everything.'),
    exclude: paths()
      .optional()
      .describe(
        'Paths or globs to leave out besides the defaults (.git, logs, caches, temporary files); "!path" takes one back.',
      ),
    tests: paths().optional().describe('Tests run inside the fresh image: globs of .bats and .sh files.'),
    tags: z
      .record(tagKey(), scalar, { error: 'a map of tags and values' })
      .optional()
      .describe(
        'Tags of every image baked from this, by which it is found. Part of what makes the image: no secrets.',
      ),
    rebake: z
      .union(
        [
          z.enum(['never', 'on-base-change'], { error: 'never or on-base-change' }),
          z.strictObject({
            when: z
              .literal('on-base-change', { error: 'on-base-change' })
              .describe('When the base moves on.'),
            promote: list(name(), 'a list of channels')
              .optional()
              .describe(
                'Channels that the new image takes over from the one it replaces. Left out: each that holds that one.',
              ),
          }),
        ],
        { error: 'never, on-base-change, or {when: on-base-change, promote: [CHANNEL, …]}' },
      )
      .optional()
      .meta({ description: 'Whether to bake again by itself when the base moves on.', default: 'never' }),
    container: container.optional().describe('For kind: container.'),
    machine: machine.optional().describe('For kind: machine.'),
  },
  { error: 'a map: {kind, build, run, …}' },
);

export type ImageInput = z.output<typeof image>;
export type MachineInput = z.output<typeof machine>;
export type ProvisionerInput = z.output<typeof provisioner>;
