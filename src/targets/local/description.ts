/** What an instance's folder says of it, checked when read back: an older or newer server may have written it. */
import { rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Digest, InstanceId, ServerGroupName, ServiceKey } from '../../domain/ids.ts';
import { readIfThere } from '../../files/durable-file.ts';
import type { InstanceLayout } from './layout.ts';
import type { ProcessIdentity } from './processes.ts';

export type Isolation = 'sandbox' | 'none';

export interface InstanceDescription {
  readonly id: InstanceId;
  readonly kind: 'member' | 'run';
  readonly group: ServerGroupName;
  readonly service: ServiceKey;
  readonly artifact: Digest;
  readonly ordinal: number;
  /** Absent when it does not listen. */
  readonly port?: number;
  readonly exclusiveVolumes: readonly string[];
  readonly isolation: Isolation;
  readonly startedAtMs: number;
  /** Start times count from this boot. */
  readonly bootId: string;
}

/** The processes of an instance that matter by themselves; all others are found from these. */
export interface InstanceProcesses {
  /** Writes the status file: bubblewrap, or a shell. */
  readonly runner: ProcessIdentity;
  /** Pid 1 of the sandbox: when it dies the kernel ends all that is in there. */
  readonly init?: ProcessIdentity;
  /** The author's own command. */
  readonly main: ProcessIdentity;
}

const identity = z.object({ pid: z.number(), startTicks: z.number() });
const processesFile = z.object({ runner: identity, init: identity.optional(), main: identity });
const descriptionFile = z.object({
  version: z.literal(1),
  // Branding is safe: Kiln wrote these names, checked, and nobody else can write here.
  id: z.string().transform((text) => text as InstanceId),
  kind: z.enum(['member', 'run']),
  group: z.string().transform((text) => text as ServerGroupName),
  service: z.string().transform((text) => text as ServiceKey),
  artifact: z.string().transform((text) => text as Digest),
  ordinal: z.number(),
  port: z.number().optional(),
  exclusiveVolumes: z.array(z.string()),
  isolation: z.enum(['sandbox', 'none']),
  startedAtMs: z.number(),
  bootId: z.string(),
});

export function writeDescription(at: InstanceLayout, description: InstanceDescription): Promise<void> {
  return replaceFile(at.description, { version: 1, ...description });
}

/** Undefined when its server died before it had written this, and so before anything was started. */
export async function readDescription(at: InstanceLayout): Promise<InstanceDescription | undefined> {
  const text = await readIfThere(at.description);
  if (text === undefined) return undefined;
  const { version: _, port, ...rest } = descriptionFile.parse(JSON.parse(text));
  return { ...rest, ...(port === undefined ? {} : { port }) };
}

export function writeProcesses(at: InstanceLayout, processes: InstanceProcesses): Promise<void> {
  return replaceFile(at.processes, processes);
}

export async function readProcesses(at: InstanceLayout): Promise<InstanceProcesses | undefined> {
  const text = await readIfThere(at.processes);
  if (text === undefined) return undefined;
  const { init, ...rest } = processesFile.parse(JSON.parse(text));
  return { ...rest, ...(init === undefined ? {} : { init }) };
}

/** Not synced: what these files tell of ends with the machine's power anyway. */
async function replaceFile(file: string, value: object): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify(value), { mode: 0o600 });
  await rename(`${file}.new`, file);
}
