/**
 * What another Kiln needs to make the same image of its own: the image's record, as it travels beside the bytes.
 * It comes from outside, so every name and path in it is held to the rules that a `kiln.yaml` is held to.
 */
import { z } from 'zod';
import type { ComponentDefinition } from '../domain/component.ts';
import { KilnError } from '../domain/errors.ts';
import {
  channelName,
  componentName,
  environmentName,
  type ImageId,
  digest as parseDigest,
  processName,
} from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';

export type ShippedImage = Omit<Image, 'checks' | 'revoked'>;

const RECORD_FORMAT = 1;
const ID = /^image-[0-9a-z][0-9a-z-]{3,79}$/;
const VERSION = /^[0-9A-Za-z][0-9A-Za-z._+-]{0,127}$/;

const inside = z.string().refine(isInside, { error: 'is not a path inside the app' });
const text = z.string().max(100_000);
const amount = z.number().int().nonnegative();
const named = <Name>(rule: (text: string) => Name) =>
  z.string().transform((value, context) => {
    try {
      return rule(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'is not valid' });
      return z.NEVER;
    }
  });

const processSchema = z.looseObject({
  name: named(processName),
  run: text,
  listens: z.boolean(),
  health: z.looseObject({ path: text, intervalMs: amount, timeoutMs: amount, startupMs: amount }).optional(),
  standard: z.boolean(),
  instances: z.looseObject({ min: amount, desired: amount, max: amount }),
  stop: z.looseObject({ signals: z.array(z.string().regex(/^SIG[A-Z0-9]+$/)), graceMs: amount }),
  volumes: z.array(
    z.looseObject({
      name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/),
      path: z.string().refine((path) => isInside(path) || isPlainAbsolute(path), {
        error: 'is not a path that a volume can have',
      }),
      shared: z.boolean(),
    }),
  ),
});

const environmentSchema = z.looseObject({
  processes: z.array(processSchema),
  config: z.looseObject({
    required: z.array(text),
    values: z.record(z.string(), text),
    env: z.union([z.literal('all'), z.array(text)]),
    files: z.array(z.looseObject({ template: inside, path: inside })),
  }),
  deploy: z.looseObject({
    strategy: z.enum(['rolling', 'blue-green', 'canary']),
    keepWarmMs: amount,
    timeoutMs: amount,
    batch: amount,
    steps: z.array(z.number()),
    everyMs: amount,
  }),
  routes: z.array(z.looseObject({ host: text, path: text, process: named(processName) })),
  migrate: text.optional(),
  checks: z.array(inside),
  target: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/),
  channel: named(channelName).optional(),
});

const definitionSchema = z.looseObject({
  component: named(componentName),
  version: z.string().optional(),
  image: z.looseObject({
    kind: z.enum(['bundle', 'container', 'machine']),
    build: z.array(z.looseObject({ run: text, timeoutMs: amount })),
    buildEnvironment: z.record(z.string(), text),
    include: z.array(text),
    exclude: z.array(text),
    tests: z.array(text),
  }),
  defaults: environmentSchema,
  environments: z.record(named(environmentName), environmentSchema),
  attachments: z.record(inside, z.string()).optional(),
  channels: z
    .record(
      named(channelName),
      z.strictObject({
        checks: z.array(z.string().max(40)).max(20),
        approvals: z.int().min(0).max(20),
        after: z.strictObject({ channel: named(channelName), heldMs: amount }).optional(),
      }),
    )
    .optional(),
});

const artifactForm = {
  kind: z.enum(['bundle', 'container', 'machine']),
  provider: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/),
  region: z.string().max(100).optional(),
  arch: z.string().regex(/^[a-z0-9][a-z0-9/_-]{0,39}$/),
  sizeBytes: amount,
};

const recordSchema = z.object({
  kilnRecord: z.literal(RECORD_FORMAT),
  id: z.string().regex(ID),
  component: named(componentName),
  version: z.string().regex(VERSION),
  inputKey: named(parseDigest),
  parent: z.string().regex(ID).optional(),
  tags: z.record(z.string().max(200), z.string().max(2000)),
  definition: definitionSchema,
  artifacts: z
    .array(
      z.union([
        z.strictObject({ ...artifactForm, digest: named(parseDigest) }),
        z.strictObject({ ...artifactForm, reference: z.string().max(500) }),
      ]),
    )
    .min(1)
    .max(100),
  createdAtMs: amount,
});

export function recordText(image: ShippedImage): string {
  const { id, component, version, inputKey, parent, tags, definition, artifacts, createdAtMs } = image;
  const record = { kilnRecord: RECORD_FORMAT, id, component, version, inputKey, parent, tags, definition };
  return JSON.stringify({ ...record, artifacts, createdAtMs });
}

/** Fails with `registry.refused` when it is not a record that Kiln can take. */
export function parseRecord(recorded: string): ShippedImage {
  const parsed = recordSchema.safeParse(jsonOf(recorded));
  if (!parsed.success) {
    throw new KilnError(
      'registry.refused',
      'The image was pushed with a record that this Kiln cannot take.',
      {
        faults: parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message })),
        next: 'Push it again with a Kiln of this version or an older one.',
      },
    );
  }
  const { kilnRecord: _, id, parent, definition, ...rest } = parsed.data;
  if (definition.component !== rest.component) {
    throw new KilnError('registry.refused', 'The record names one component and defines another.', {
      next: 'Push the image again from where it was baked.',
    });
  }
  return {
    ...rest,
    id: id as ImageId,
    ...(parent === undefined ? {} : { parent: parent as ImageId }),
    // The schema above has seen all that is used as a name or a path; the rest is as the other Kiln had it.
    definition: definition as unknown as ComponentDefinition,
  } as ShippedImage;
}

function isInside(path: string): boolean {
  if (path === '' || path.startsWith('/') || path.includes('\0') || path.includes('\\')) return false;
  return !path.split('/').includes('..');
}

function isPlainAbsolute(path: string): boolean {
  return path.startsWith('/') && !path.includes('\0') && !path.split('/').includes('..');
}

function jsonOf(recorded: string): unknown {
  try {
    return JSON.parse(recorded);
  } catch {
    // Not JSON, so not a record: the schema says so.
    return undefined;
  }
}
