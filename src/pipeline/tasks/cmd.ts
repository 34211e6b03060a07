import { z } from 'zod';
import type { CheckoutOptions } from '../../domain/trigger.ts';
import { isObject, type Json } from '../asl/json.ts';
import { SECRET_NAME } from '../commands/secret-folder.ts';
import { mayChange } from '../commands/secret-values.ts';
import { checkoutOf, checkoutSchema } from '../definition/trigger-declarations.ts';
import { unlessStopped } from '../executor/running-tasks.ts';
import type { TaskCall } from '../task.ts';
import { DAY, HOUR, taskVerb } from '../task-verb.ts';
import { NO_WORKER_SECONDS, SILENT_MS } from '../workers/worker-jobs.ts';

const variable = z.string().regex(/^[A-Za-z_]\w*$/, 'a name of letters, digits and _');
const fileName = z.string().regex(/^[\w][\w.-]*$/, 'a file name');
const secret = z.string().regex(SECRET_NAME, 'the name of a secret');
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'a digest');
const seconds = z.number('seconds').positive().max(DAY);
/** In the source: it does not lead out of it. */
const inside = z
  .string()
  .min(1)
  .refine((text) => !text.startsWith('/') && !text.startsWith('-') && !text.split('/').includes('..'), {
    error: 'a path in the source',
  });
const list = z.union(
  [inside.transform((one) => [one]), z.array(inside).min(1)],
  'a path in the source, or a list of them',
);

const label = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,59}$/, 'a label');

const cache = z.strictObject({
  key: z.string().min(1).max(200),
  /** The cache is another one once these change. */
  files: z.array(inside).default([]),
  paths: list,
});

const service = z.strictObject({
  image: z.string().min(1),
  environment: z.record(variable, z.string()).default({}),
  command: z.array(z.string()).optional(),
  health: z.string().min(1).optional(),
  timeoutSeconds: seconds.default(120),
});

const shape = z.strictObject({
  /** One shell script: the first command that fails ends it. */
  commands: z.union(
    [
      z
        .string()
        .min(1)
        .transform((one) => [one]),
      z.array(z.string()).min(1),
    ],
    'a command, or a list of them',
  ),
  /** Copied into the workspace; or of a git repository, which is checked out there. */
  source: z.string().min(1).optional(),
  /** As Microtica calls it. */
  sourceLocation: z.string().min(1).optional(),
  /** The exact commit of a git source. */
  commit: z
    .string()
    .regex(/^[0-9a-f]{7,64}$/, 'a commit')
    .optional(),
  /** Of a git source, as `Checkout` beside `Triggers` has it. */
  checkout: checkoutSchema.prefault({}),
  environment: z.record(variable, z.string()).default({}),
  /** As Microtica calls it; what both name is of `environment`. */
  environmentVariables: z.record(variable, z.string()).default({}),
  /** Texts that the script finds as files; `$KILN_SECRETS` is their folder. They are in the events: no place for secrets. */
  files: z.record(fileName, z.string()).default({}),
  /** The server's secrets by name, as variables, and as files beside the others. */
  secrets: z.record(variable, secret).default({}),
  secretFiles: z.record(fileName, secret).default({}),
  cache: z
    .union([cache.transform((one) => [one]), z.array(cache)], 'a map with key and paths, or a list of them')
    .default([]),
  services: z.record(z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'a name'), service).default({}),
  limits: z
    .strictObject({
      memoryMb: z.int().min(16).optional(),
      cpus: z.number().min(0.1).max(1_024).optional(),
      processes: z.int().min(4).optional(),
    })
    .default({}),
  /** It may speak to the machine's Docker engine: whoever may do that may do anything there. */
  docker: z.boolean().default(false),
  inputs: z.record(inside, digest).default({}),
  /** True: all of the workspace, under the name `workspace`. */
  artifacts: z
    .union(
      [
        z.boolean().transform((all): Record<string, string[]> => (all ? { workspace: ['.'] } : {})),
        z.record(z.string().min(1), list),
      ],
      'true, or a map of paths by name',
    )
    .default({}),
  /** Labels that a worker must have: it runs there instead of on the server's machine. */
  runsOn: z
    .union([label.transform((one) => [one]), z.array(label).min(1)], 'a label, or a list of them')
    .optional(),
  timeoutSeconds: seconds.default(HOUR),
});

/** Runs commands in a workspace of their own → `{exitCode: 0, output, artifacts?}`; else fails with `Cmd.Failed`. */
export const cmd = taskVerb({
  name: 'cmd',
  does: 'runs commands in a workspace with the source checked out',
  takes: shape,
  // Until there is a place, or a worker; then an hour for its commands, and one for all around them.
  limit: {
    waitSeconds: NO_WORKER_SECONDS,
    seconds: 2 * HOUR,
    argument: { name: 'timeoutSeconds', seconds: HOUR, mostSeconds: DAY },
  },
  repeat: 'never',
  beginsItself: true,
  takesPlace: (given) => !isForWorker(given),
  beatsItself: isForWorker,
  outlivesServerMs: (given) => (isForWorker(given) ? SILENT_MS : 0),
  async run({ runCommand, runOnWorker }, wished, call, signal) {
    const { sourceLocation, source = sourceLocation, cache: caches, ...more } = wished;
    const { runsOn, environmentVariables, ...wish } = more;
    const environment = { ...environmentVariables, ...wish.environment };
    const checkout = checkoutFor(call, wish.checkout);
    const whole = { ...wish, environment, source, caches, checkout };
    if (runsOn !== undefined) return runOnWorker(whole, runsOn, call, signal);
    await unlessStopped(call.begins(), signal);
    return runCommand(whole, call, signal);
  },
});

/** Anybody's code names submodules and large files: they are not fetched with the keys of this machine. */
function checkoutFor(call: TaskCall, wanted: z.infer<typeof checkoutSchema>): CheckoutOptions {
  const options = checkoutOf(wanted);
  return mayChange(call) ? options : { ...options, submodules: false, lfs: false };
}

function isForWorker(given: Json): boolean {
  return isObject(given) && given.runsOn !== undefined;
}
