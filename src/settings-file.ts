/** `settings.yaml` in the state directory: what may stand there, and how it is read. */
import { parse } from 'yaml';
import { z } from 'zod';
import { type Fault, KilnError } from './domain/errors.ts';
import { SEVERITIES } from './domain/finding.ts';
import { readIfThereSync } from './files/durable-file.ts';
import { isSystemError } from './files/system-error.ts';

const scannerSchema = z
  .strictObject({
    name: z.string().regex(/^(?!osv$)[a-z][a-z0-9-]{0,39}$/),
    argv: z.array(z.string()).min(1),
    reads: z.enum(['sbom', 'rootfs', 'inside']),
    answers: z.enum(['sarif', 'cyclonedx', 'lynis']),
    bring: z.array(z.string().startsWith('/')).default([]),
    timeoutSeconds: z.number().positive().max(3600).default(600),
  })
  .transform(({ timeoutSeconds, ...scanner }) => ({ ...scanner, timeoutMs: timeoutSeconds * 1000 }));

const keepSchema = z.strictObject({
  executions: z.int().min(1).optional(),
  days: z.number().positive().optional(),
});

const s3Schema = z.strictObject({
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/, 'a region')
    .optional(),
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
});

const fileSchema = z.strictObject({
  listen: z.string().optional(),
  hosts: z.array(z.string()).optional(),
  tls: z.strictObject({ certificateFile: z.string(), keyFile: z.string() }).optional(),
  databaseUrl: z.string().optional(),
  peerUrl: z.string().optional(),
  keyFile: z.string().startsWith('/').optional(),
  router: z
    .strictObject({ driver: z.enum(['built-in', 'haproxy']).optional(), listen: z.string().optional() })
    .optional(),
  registries: z
    .strictObject({ logins: z.string().optional(), plainHttp: z.array(z.string()).optional() })
    .optional(),
  builds: z
    .strictObject({
      secrets: z.string().startsWith('/').optional(),
      sshAgent: z.string().startsWith('/').optional(),
    })
    .optional(),
  events: z.strictObject({ keepDays: z.number().positive() }).optional(),
  janitor: z
    .strictObject({
      unusedDays: z.number().min(1).max(3_650).optional(),
      noticeWorkingDays: z.int().min(1).max(260).optional(),
      share: z.number().positive().max(1).optional(),
    })
    .optional(),
  pipelines: z
    .strictObject({
      tasks: z.int().min(1).max(1_000).optional(),
      longestDays: z.number().positive().max(3_650).optional(),
      /** By verb; `token` and `items` are what waits for a token, and a Map's items and results. */
      limitSeconds: z.record(z.string(), z.int().min(1).max(99_999_999)).optional(),
      keep: keepSchema.optional(),
      keepTriggersDays: z.number().positive().optional(),
      keepMirrorsDays: z.number().positive().optional(),
      keepOf: z.record(z.string(), keepSchema).optional(),
    })
    .optional(),
  chat: z
    .strictObject({
      slack: z.strictObject({
        secret: z.string().min(1),
        users: z.record(
          z.string().regex(/^[UW][A-Z0-9]{2,30}$/, 'the id of a Slack user'),
          z.string().min(1),
        ),
      }),
    })
    .optional(),
  s3: s3Schema.optional(),
  artifacts: z
    .strictObject({
      s3: s3Schema.extend({
        bucket: z.string().min(3),
        prefix: z
          .string()
          .transform((text) => text.replace(/^\/+|\/+$/g, ''))
          .default(''),
      }),
    })
    .optional(),
  scan: z
    .strictObject({
      advisories: z.string().startsWith('/').optional(),
      worst: z.enum(SEVERITIES).optional(),
      scanners: z.array(scannerSchema).optional(),
    })
    .optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).optional(),
});

export type FileSettings = z.infer<typeof fileSchema>;

/** Empty when there is no such file. Throws `input.invalid` with every fault of it. */
export function readSettingsFile(file: string): FileSettings {
  const text = readText(file);
  if (text === undefined) return {};
  const result = fileSchema.safeParse(parseYaml(text, file) ?? {});
  if (result.success) return result.data;
  const faults: Fault[] = result.error.issues.map((issue) => ({
    path: issue.path.join('.'),
    message: issue.message,
  }));
  throw new KilnError('input.invalid', `${file} is not valid.`, {
    faults,
    next: 'Correct it and start again.',
  });
}

function readText(file: string): string | undefined {
  try {
    return readIfThereSync(file);
  } catch (error) {
    if (!isSystemError(error, 'EACCES', 'EPERM', 'EISDIR')) throw error;
    throw new KilnError('input.invalid', `${file} cannot be read: ${messageOf(error)}.`, {
      next: 'Give the user that runs Kiln the right to read it, or name another directory with --state.',
      cause: error,
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function parseYaml(text: string, file: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    const [what] = messageOf(error).split('\n', 1);
    throw new KilnError('input.invalid', `${file} is not YAML: ${what}`, {
      next: 'Correct it and start again.',
      cause: error,
    });
  }
}
