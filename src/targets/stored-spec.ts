/** The shapes of what a target keeps on disk, checked when read back: another build may have written it. */
import { z } from 'zod';
import type { GroupSpec } from '../domain/server-group.ts';
import type { RestartHistory } from './restart-policy.ts';

const signals = z.enum(['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGKILL']);

const processSpec = z.object({
  name: z.string(),
  run: z.string(),
  listens: z.boolean(),
  port: z.number().optional(),
  health: z
    .object({ path: z.string(), intervalMs: z.number(), timeoutMs: z.number(), startupMs: z.number() })
    .optional(),
  standard: z.boolean(),
  instances: z.object({ min: z.number(), desired: z.number(), max: z.number() }),
  stop: z.object({ signals: z.array(signals), graceMs: z.number() }),
  volumes: z.array(z.object({ name: z.string(), path: z.string(), shared: z.boolean() })),
});

const shape = z.object({
  group: z.string(),
  service: z.string(),
  release: z.number(),
  version: z.string(),
  artifact: z.string(),
  runtime: z.string().optional(),
  process: processSpec,
  environment: z.record(z.string(), z.string()),
  files: z.array(z.object({ path: z.string(), content: z.string() })),
  desired: z.number(),
  retire: z.array(z.string()),
});

/** Branding is safe here: Kiln itself wrote these names, checked, and the shape has been checked. */
export const storedSpec = shape.transform((value) => value as unknown as GroupSpec);

const historyShape = z.object({
  rounds: z.number(),
  earlyRounds: z.number(),
  proven: z.boolean(),
  roundAtMs: z.number(),
  notBeforeMs: z.number(),
  lastWhy: z.string().optional(),
  bad: z.string().optional(),
});

export const storedHistory = historyShape.transform(
  ({ lastWhy, bad, ...rest }): RestartHistory => ({
    ...rest,
    ...(lastWhy === undefined ? {} : { lastWhy }),
    ...(bad === undefined ? {} : { bad }),
  }),
);
