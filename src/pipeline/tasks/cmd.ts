import { z } from 'zod';
import type { Task } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const variable = z.string().regex(/^[A-Za-z_]\w*$/, 'a name of letters, digits and _');
const shape = z.strictObject({
  /** One shell script: the first command that fails ends it. */
  commands: z.union([
    z
      .string()
      .min(1)
      .transform((one) => [one]),
    z.array(z.string()).min(1),
  ]),
  /** Copied into the workspace; or of a git repository, which is checked out there. */
  source: z.string().min(1).optional(),
  /** As Microtica calls it. */
  sourceLocation: z.string().min(1).optional(),
  /** The exact commit of a git source. */
  commit: z
    .string()
    .regex(/^[0-9a-f]{7,64}$/, 'a commit')
    .optional(),
  environment: z.record(variable, z.string()).default({}),
  /** Texts that the script finds as files, which only it can read; `$KILN_SECRETS` is their folder. */
  files: z.record(z.string().regex(/^[\w][\w.-]*$/, 'a file name'), z.string()).default({}),
  timeoutSeconds: z
    .number()
    .positive()
    .max(24 * 3_600)
    .default(3_600),
});

/** Runs commands in a workspace of their own → `{exitCode: 0, output}` (the end of it); else fails with `Cmd.Failed`. */
export function cmd({ runCommand }: TaskParts): Task {
  return {
    name: 'cmd',
    does: 'runs commands in a workspace with the source checked out',
    repeat: 'never',
    takesPlace: true,
    run: async (call, signal) => {
      const { sourceLocation, source = sourceLocation, ...wish } = argumentsOf(shape, call);
      return runCommand({ ...wish, source }, call, signal);
    },
  };
}
