import { createHash } from 'node:crypto';
import { mkdir, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { asKilnError, KilnError } from '../domain/errors.ts';
import type { Digest, Fence, InstanceId, ServerGroupName, ServiceKey } from '../domain/ids.ts';
import type { GroupSpec } from '../domain/server-group.ts';
import { readIfThere, removeDrafts, removeFile, replaceFile } from '../files/durable-file.ts';
import type { RestartHistory } from './restart-policy.ts';
import { storedHistory, storedSpec } from './stored-spec.ts';
import type { TargetLog } from './target-log.ts';

/** What is wanted of a group, and what cannot be observed of it. */
export interface GroupRecord {
  readonly spec: GroupSpec;
  readonly history: RestartHistory;
  /** Ended instances that are in the history already. */
  readonly counted: readonly InstanceId[];
  /** Instances that are to be stopped, or have been and are not cleared away yet. */
  readonly leaving: readonly InstanceId[];
  /** Everything of it is to go; nothing is started any more. */
  readonly removing: boolean;
}

export type RunOutcome =
  | { readonly kind: 'exited'; readonly exitCode: number; readonly logTail: readonly string[] }
  | { readonly kind: 'timed-out'; readonly logTail: readonly string[] }
  /** The group was removed while it ran. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'unknown'; readonly why: string };

/** Written before the run is launched; a record without an outcome is a run that may be under way. */
export interface RunRecord {
  readonly key: string;
  readonly group: ServerGroupName;
  readonly service: ServiceKey;
  readonly instance: InstanceId;
  readonly deadlineMs: number;
  readonly outcome?: RunOutcome;
}

const ids = z.array(z.string()).transform((list) => list as InstanceId[]);
const groupFile = z.object({
  version: z.literal(1),
  spec: storedSpec,
  history: storedHistory,
  counted: ids,
  leaving: ids,
  removing: z.boolean(),
});
const tail = z.array(z.string());
const runFile = z.object({
  version: z.literal(1),
  key: z.string(),
  group: z.string().transform((text) => text as ServerGroupName),
  service: z.string().transform((text) => text as ServiceKey),
  instance: z.string().transform((text) => text as InstanceId),
  deadlineMs: z.number(),
  outcome: z
    .discriminatedUnion('kind', [
      z.object({ kind: z.literal('exited'), exitCode: z.number(), logTail: tail }),
      z.object({ kind: z.literal('timed-out'), logTail: tail }),
      z.object({ kind: z.literal('stopped') }),
      z.object({ kind: z.literal('unknown'), why: z.string() }),
    ])
    .optional(),
});
const fencesFile = z.record(z.string(), z.number());

/**
 * The wishes of a supervised target, in files on the machine that carries them out: they must be at hand when
 * the store is not. All are read once when opened; each change is durable when its promise resolves.
 */
export class GroupRecords {
  readonly #directory: string;
  readonly #groups = new Map<ServerGroupName, GroupRecord>();
  readonly #runs = new Map<string, RunRecord>();
  readonly #fences = new Map<string, Fence>();
  /** One write at a time and file: two writers would share its temporary file. */
  #writing: Promise<void> = Promise.resolve();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(directory: string, log: TargetLog): Promise<GroupRecords> {
    const records = new GroupRecords(directory);
    for (const record of await readAll(path.join(directory, 'groups'), groupFile, log)) {
      records.#groups.set(record.spec.group, record);
    }
    for (const { outcome, ...record } of await readAll(path.join(directory, 'runs'), runFile, log)) {
      records.#runs.set(record.key, outcome === undefined ? record : { ...record, outcome });
    }
    await removeDrafts(directory);
    const fences = await readIfThere(path.join(directory, 'fences.json'));
    if (fences !== undefined) {
      for (const [service, fence] of Object.entries(parseOrFail(fences, fencesFile, 'fences.json'))) {
        records.#fences.set(service, fence);
      }
    }
    return records;
  }

  group(name: ServerGroupName): GroupRecord | undefined {
    return this.#groups.get(name);
  }

  groups(): readonly GroupRecord[] {
    return [...this.#groups.values()];
  }

  artifactsInUse(): ReadonlySet<Digest> {
    return new Set(this.groups().map((record) => record.spec.artifact));
  }

  async putGroup(record: GroupRecord): Promise<void> {
    await this.#write(this.#groupFile(record.spec.group), { version: 1, ...record });
    this.#groups.set(record.spec.group, record);
  }

  async deleteGroup(name: ServerGroupName): Promise<void> {
    await this.#inTurn(() => removeFile(this.#groupFile(name)));
    this.#groups.delete(name);
  }

  run(key: string): RunRecord | undefined {
    return this.#runs.get(key);
  }

  openRuns(): readonly RunRecord[] {
    return [...this.#runs.values()].filter((run) => run.outcome === undefined);
  }

  async putRun(record: RunRecord): Promise<void> {
    const name = createHash('sha256').update(record.key).digest('hex');
    await this.#write(path.join(this.#directory, 'runs', `${name}.json`), { version: 1, ...record });
    this.#runs.set(record.key, record);
  }

  /** Refuses a fence lower than one seen before; remembers a higher one before anything is done under it. */
  async admit(service: ServiceKey, fence: Fence): Promise<void> {
    const highest = this.#fences.get(service) ?? 0;
    if (fence < highest) {
      throw new KilnError('fence.stale', `Fence ${fence} of ${service} is older than ${highest}.`, {
        next: 'Another server owns this service now; nothing has to be done here.',
        details: { fence, highest },
      });
    }
    if (fence === highest) return;
    await this.#inTurn(async () => {
      const raised = new Map(this.#fences).set(service, Math.max(fence, this.#fences.get(service) ?? 0));
      await replaceFile(
        path.join(this.#directory, 'fences.json'),
        JSON.stringify(Object.fromEntries(raised)),
      );
      this.#fences.set(service, raised.get(service) ?? fence);
    });
  }

  #groupFile(name: ServerGroupName): string {
    return path.join(this.#directory, 'groups', `${name}.json`);
  }

  #write(file: string, value: object): Promise<void> {
    return this.#inTurn(() => replaceFile(file, JSON.stringify(value)));
  }

  #inTurn(act: () => Promise<void>): Promise<void> {
    const turn = this.#writing.then(act).catch((error) => {
      throw asKilnError(error);
    });
    this.#writing = turn.catch(() => undefined); // Whoever asked for the write is told; the next one goes on.
    return turn;
  }
}

/**
 * A damaged record is set aside and named: one bad file must not keep all other groups from being kept up. One that
 * a crash left half written was never in force and goes.
 */
async function readAll<Shape extends z.ZodType>(
  directory: string,
  shape: Shape,
  log: TargetLog,
): Promise<z.output<Shape>[]> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await removeDrafts(directory);
  const found: z.output<Shape>[] = [];
  for (const name of await readdir(directory)) {
    if (!name.endsWith('.json')) continue;
    const file = path.join(directory, name);
    try {
      found.push(parseOrFail((await readIfThere(file)) ?? '', shape, file));
    } catch (error) {
      await rename(file, `${file}.damaged`);
      log.warn({ file, error: String(error) }, 'a damaged record was set aside');
    }
  }
  return found;
}

function parseOrFail<Shape extends z.ZodType>(text: string, shape: Shape, file: string): z.output<Shape> {
  try {
    return shape.parse(JSON.parse(text));
  } catch (error) {
    throw new KilnError('internal', `${file} cannot be read: it is damaged or of another version.`, {
      cause: error,
      next: 'Move the file away; what it described is stopped or started anew by the next deployment.',
    });
  }
}
