/** What people and other parts ask of pipelines: start, look, cancel, decide, start again. */
import path from 'node:path';
import type { CallAttempt } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { EventStore } from '../domain/ports/events.ts';
import type {
  ExecutionOrigin,
  ExecutionRecord,
  ExecutionStore,
  OnOpenGroup,
} from '../domain/ports/executions.ts';
import type { ReleaseEvidence } from '../domain/release-evidence.ts';
import type { HistoryRecord } from './asl/execution.ts';
import { isObject, type Json, type JsonObject } from './asl/json.ts';
import { type DefaultPipelineOf, defaultPipeline } from './default-pipeline.ts';
import { type PipelineParameter, parameterValues } from './definition/parameters.ts';
import { readPipeline } from './definition/pipeline-file.ts';
import { resourceName } from './definition/resources.ts';
import type { Machines } from './executor/machines.ts';
import { replay, type SignalBody, stateOf } from './executor/stored-state.ts';
import { PIPELINE_FILE, pipelineIn } from './pipeline-files.ts';
import { isUntrusted, NO_RIGHTS } from './strangers.ts';
import { RESOURCES } from './task-registry.ts';
import { REJECTED } from './tasks/approve.ts';
import { decidedOn, lastMoment, type Waits, waitsOf, withinExecution } from './why.ts';

/** Looked through for those that one waits behind. */
const OPEN_SEEN = { limit: 500 };

export interface PipelinesParts {
  /** How this server's names as a holder begin, where others may hold executions too: it has the folders it is given. */
  readonly home?: string | undefined;
  readonly store: ExecutionStore;
  readonly events: Pick<EventStore, 'revision' | 'waitAfter'>;
  readonly machines: Machines;
  readonly clock: Clock;
  readonly newId: () => string;
  /** Those that are open for longer are cancelled. */
  readonly longestMs?: number;
  readonly describe: (directory: string) => Promise<DefaultPipelineOf>;
  readonly commitOf: (directory: string) => Promise<JsonObject>;
  /** Brings back the folder that an execution with this input had its source in, where that was its own. */
  readonly restore: (input: unknown) => Promise<void>;
  /** Why a task has not begun, by its key; undefined: nothing holds it up. */
  readonly heldUpBy?: (key: string, waiting: Waits) => Promise<string | undefined>;
  /** What a task that is at work has said last, by the name of its log; undefined: nothing that is known here. */
  readonly lastSaid?: (execution: string, task: string) => Promise<string | undefined>;
  /** What is known of the images that an approval asks about, in each of its environments, as things stand now. Never rejects, and never takes long. */
  readonly evidenceFor?: (
    images: readonly string[],
    environments: readonly string[],
  ) => Promise<readonly ReleaseEvidence[]>;
}

export interface StartWish {
  readonly directory: string;
  /** A file in the folder; without it `pipeline.yaml` or `microtica.yaml`, or the default pipeline where there is none. */
  readonly file?: string;
  /** JSON, as are the parameters. */
  readonly input?: unknown;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly group?: string;
  readonly onOpen?: OnOpenGroup;
  readonly priority?: number;
  readonly trigger: string;
  /** What is known of what started it, where it came from and its commit: put into the input beside the rest. */
  readonly facts?: StartFacts;
  /** The pipeline, where it is not the folder's own, and what it is called by then. */
  readonly definition?: { readonly text: string; readonly name: string; readonly component: string };
}

export interface StartFacts {
  readonly trigger?: JsonObject;
  readonly source?: JsonObject;
  readonly commit?: JsonObject;
}

export interface Starter {
  readonly actor: string;
  readonly rights?: ExecutionOrigin['rights'];
  readonly attempt?: CallAttempt;
  /** Its id, where it is given by what asks for it. */
  readonly id?: string;
}

export interface Shown {
  readonly record: ExecutionRecord;
  readonly output?: Json;
  readonly error?: string;
  readonly cause?: string;
  readonly waits: readonly Waits[];
}

export class Pipelines {
  readonly #parts: PipelinesParts;

  constructor(parts: PipelinesParts) {
    this.#parts = parts;
  }

  async start(wish: StartWish, starter: Starter): Promise<ExecutionRecord> {
    const { machines, newId, describe, commitOf } = this.#parts;
    const { directory, trigger, facts } = wish;
    const { text, name, component } = wish.definition ?? (await this.#text(wish, await describe(directory)));
    const read = await readPipeline(text, name, { resources: RESOURCES });
    const { machine, parameters, concurrency } = read;
    // What the file says of others holds however it was started; but no stranger's change holds them up, or ends them.
    const isStrangers = facts?.trigger?.trusted === false;
    const { group, onOpen = 'queue' } = (isStrangers ? undefined : concurrency) ?? wish;
    const priority = wish.priority ?? (isStrangers ? undefined : read.priority) ?? 0;
    const values = parameterValues(parameters, jsonObject(wish.parameters));
    const id = starter.id ?? `exec-${newId()}`;
    const input = {
      ...jsonObject(wish.input),
      trigger: {
        by: starter.actor,
        ...facts?.trigger,
        kind: trigger,
        source: { ...facts?.source, location: directory },
      },
      commit: facts?.commit ?? (await commitOf(directory)),
      pipeline: { id, name: component },
      component,
      parameters: values,
    };
    // A checkout is made anew wherever it is needed; a folder is on the machine of whoever was asked.
    const home = facts?.source?.checkout === undefined ? this.#parts.home : undefined;
    const definition = await machines.put(machine);
    const origin = {
      id,
      pipeline: component,
      definition,
      input,
      priority,
      ...(home !== undefined && { home }),
    };
    return this.#create({ ...origin, ...(group !== undefined && { group }) }, onOpen, starter);
  }

  /** What has to be given, or may be, when the folder's pipeline is started. */
  async parameters(
    directory: string,
    file?: string,
  ): Promise<{ readonly component: string; readonly parameters: readonly PipelineParameter[] }> {
    const described = await this.#parts.describe(directory);
    const wish = { directory, trigger: 'api', ...(file !== undefined && { file }) };
    const { text, name, component } = await this.#text(wish, described);
    const { parameters } = await readPipeline(text, name, { resources: RESOURCES });
    return { component, parameters };
  }

  /** From the state that failed, with what that was entered with; or from the start, with the same input. */
  async again(id: string, from: 'failure' | 'start', starter: Starter): Promise<ExecutionRecord> {
    const { store, machines, newId } = this.#parts;
    const record = await this.#required(id);
    if (record.endedAtMs === undefined) throw running(id, 'Wait for its end, or cancel it.');
    const next = `exec-${newId()}`;
    const { pipeline, definition, input, priority, group, home } = record;
    await this.#parts.restore(input);
    // Whoever asks for it: what a stranger's change may not do, it may not do on a second try.
    const who = isUntrusted(input) ? { ...starter, rights: NO_RIGHTS } : starter;
    const origin = {
      id: next,
      pipeline,
      definition,
      input,
      priority,
      after: id,
      ...(group !== undefined && { group }),
      ...(home !== undefined && { home }),
    };
    if (from === 'start') return this.#create(origin, 'queue', who);
    if (record.status === 'SUCCEEDED') {
      throw new KilnError(
        'input.conflict',
        `Execution ${id} has succeeded: there is no failed state to go on from.`,
        {
          next: `Run it again from the start: kiln pipeline retry ${id} --from start`,
        },
      );
    }
    const { last } = await replay(await machines.get(definition), record, await store.events(id));
    return this.#create({ ...origin, ...(last && { begin: last }) }, 'queue', who);
  }

  async exists(id: string): Promise<boolean> {
    return (await this.#parts.store.get(id)) !== undefined;
  }

  async show(id: string): Promise<Shown> {
    const [stored] = await this.#parts.store.load([id]);
    if (stored === undefined) throw missing(id);
    const { record } = stored;
    const execution = await stateOf(await this.#parts.machines.get(record.definition), stored);
    const { output, error, cause } = execution;
    const waits = waitsOf(execution, (resource) => resourceName(resource) === 'approve');
    const said = { ...(output !== undefined && { output }), ...(error !== undefined && { error }) };
    const { longestMs = Number.POSITIVE_INFINITY } = this.#parts;
    const last = lastMoment(execution, record.createdAtMs + longestMs);
    const told = await Promise.all(waits.map((waiting) => this.#told(id, waiting)));
    return {
      record,
      ...said,
      ...(cause !== undefined && { cause }),
      waits: [...told, ...(await this.#queueing(record))].map((waiting) => withinExecution(waiting, last)),
    };
  }

  /** Before its first event it waits for its group, or for a server. */
  async #queueing({ id, status, holder, group, createdAtMs }: ExecutionRecord): Promise<readonly Waits[]> {
    if (status !== 'PENDING' || holder !== undefined) return [];
    const open = group === undefined ? [] : (await this.#parts.store.list({ open: true }, OPEN_SEEN)).items;
    const at = open.findIndex((other) => other.id === id);
    const before = open.filter((other, place) => at !== -1 && place > at && other.group === group);
    const names = before.map((other) => other.id).reverse();
    const text = names.length === 0 ? 'a server to begin it' : `${names.join(', ')} of the group "${group}"`;
    return [{ state: '', kind: 'time', sinceMs: createdAtMs, text: `waits for ${text}` }];
  }

  /** With what is known beside what the execution itself says: of an approval its evidence, of a task what holds it up. */
  async #told(id: string, waiting: Waits): Promise<Waits> {
    const { kind, task, images, environments = [] } = waiting;
    const { heldUpBy, lastSaid, evidenceFor } = this.#parts;
    if (images !== undefined && evidenceFor !== undefined)
      return { ...waiting, releases: await evidenceFor(images, environments) };
    if (task === undefined) return waiting;
    const text = await heldUpBy?.(`${id}/${task}`, waiting);
    if (text !== undefined) return { ...waiting, text };
    const progress = kind === 'task' ? await lastSaid?.(id, task) : undefined;
    return progress === undefined ? waiting : { ...waiting, text: `${waiting.text}: ${progress}`, progress };
  }

  async history(id: string): Promise<readonly HistoryRecord[]> {
    const record = await this.#required(id);
    const machine = await this.#parts.machines.get(record.definition);
    return (await replay(machine, record, await this.#parts.store.events(id))).history;
  }

  /** False: it has ended before. */
  cancel(id: string, starter: Starter): Promise<boolean> {
    const cause = `Cancelled by ${starter.actor}.`;
    return this.#signal(id, 'execution.cancel', { type: 'aborted', error: 'Kiln.Cancelled', cause }, starter);
  }

  /** Those that a person may answer now, after `mayDecide` has let each pass. */
  async decide(
    id: string,
    decision: { readonly approve: boolean; readonly why: string; readonly state?: string },
    mayDecide: (waits: Waits) => void,
    starter: Starter,
  ): Promise<void> {
    const { waits } = await this.show(id);
    const asked = waits.filter(
      ({ kind, state }) => kind === 'approval' && (decision.state === undefined || state === decision.state),
    );
    if (asked.length === 0) {
      throw new KilnError('input.conflict', `Execution ${id} does not wait for anybody's word.`, {
        next: `See what it waits for: kiln pipeline why ${id}`,
      });
    }
    for (const waiting of asked) mayDecide(waiting);
    for (const { task = '', releases } of asked) {
      const { approve, why } = decision;
      const by = starter.actor;
      const seen = releases && { releases: releases.map(decidedOn) };
      const body: SignalBody = approve
        ? { type: 'taskSucceeded', task, output: { approved: true, by, why, ...seen } }
        : { type: 'taskFailed', task, error: REJECTED, cause: `Rejected by ${by}: ${why}` };
      await this.#signal(id, approve ? 'execution.approve' : 'execution.reject', body, starter);
    }
  }

  /** Resolves when it has ended, or as it is after `timeoutMs`. */
  async wait(id: string, timeoutMs: number, signal: AbortSignal): Promise<ExecutionRecord> {
    const { events, clock } = this.#parts;
    const until = clock.monotonic() + timeoutMs;
    for (;;) {
      const revision = await events.revision();
      const record = await this.#required(id);
      const leftMs = until - clock.monotonic();
      if (record.endedAtMs !== undefined || leftMs <= 0) return record;
      const limit = AbortSignal.timeout(Math.ceil(Math.min(leftMs, 2 ** 31 - 1)));
      await events.waitAfter(revision, AbortSignal.any([signal, limit])).catch((error: unknown) => {
        signal.throwIfAborted();
        if (!limit.aborted) throw error;
      });
    }
  }

  async #create(origin: ExecutionOrigin, onOpen: OnOpenGroup, starter: Starter): Promise<ExecutionRecord> {
    const { store, clock } = this.#parts;
    const { actor, rights, attempt } = starter;
    const change = { actor, atMs: clock.now(), ...(attempt && { attempt }) };
    return store.create({ ...origin, ...(rights && { rights }) }, onOpen, change);
  }

  #signal(id: string, action: string, body: SignalBody, { actor, attempt }: Starter): Promise<boolean> {
    const change = { actor, atMs: this.#parts.clock.now(), ...(attempt && { attempt }) };
    return this.#parts.store.signal(id, action, body, change);
  }

  async #text(
    wish: StartWish,
    described: DefaultPipelineOf,
  ): Promise<{ text: string; name: string; component: string }> {
    const { component } = described;
    const folder = path.resolve(wish.directory);
    const file = path.resolve(folder, wish.file ?? PIPELINE_FILE);
    if (!file.startsWith(`${folder}${path.sep}`)) {
      throw new KilnError('path.escapes', `${wish.file} leads out of ${wish.directory}.`, {
        next: 'Name a file in the folder.',
      });
    }
    const found = await pipelineIn(folder, wish.file && path.relative(folder, file));
    if (found !== undefined) return { text: found.text, name: path.join(folder, found.file), component };
    if (wish.file === undefined)
      return { text: defaultPipeline(described), name: 'the default pipeline', component };
    throw new KilnError('pipeline.invalid', `There is no ${file}.`, {
      next: 'Name a file that is there, or none for pipeline.yaml.',
    });
  }

  async #required(id: string): Promise<ExecutionRecord> {
    return (await this.#parts.store.get(id)) ?? Promise.reject(missing(id));
  }
}

function missing(id: string): KilnError {
  return new KilnError('not-found', `There is no execution ${id}.`, { next: 'Run: kiln pipeline list' });
}

function running(id: string, next: string): KilnError {
  return new KilnError('input.conflict', `Execution ${id} has not ended.`, { next });
}

/** A copy of nothing but JSON; what is no object is under the key `input`. */
export function jsonObject(given: unknown): JsonObject {
  if (given === undefined) return {};
  const value: Json = JSON.parse(JSON.stringify(given));
  return isObject(value) ? value : { input: value };
}
