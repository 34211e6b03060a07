/**
 * The engine's containers that are this Kiln's. What was found is kept until the engine tells of a change or this
 * server makes one; without the engine's events every look asks anew.
 */
import { z } from 'zod';
import { type EngineClient, filters, isRefusal } from '../../docker/engine-client.ts';
import { KilnError } from '../../domain/errors.ts';
import type { InstanceId, ServerGroupName, ServiceKey } from '../../domain/ids.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { LaunchRequest } from '../instance-engine.ts';
import type { TargetLog } from '../target-log.ts';
import { LABEL, type Neighbour } from './container-body.ts';

/** Events are not stored by the engine: one that was lost is made up for after so long. */
const TRUST_MS = 1_000;
const RECONNECT_MS = 1_000;

const listShape = z.array(
  z.object({
    Id: z.string(),
    State: z.string(),
    Labels: z.record(z.string(), z.string()),
    Ports: z.array(z.object({ PrivatePort: z.number(), PublicPort: z.number().optional() })).nullish(),
  }),
);

const inspectShape = z.object({
  State: z.object({
    Status: z.string(),
    Pid: z.number(),
    ExitCode: z.number(),
    OOMKilled: z.boolean(),
    Error: z.string(),
    FinishedAt: z.string(),
  }),
});

/** Branding is safe: Kiln itself wrote the label, from checked names. */
const descriptionShape = z.object({
  version: z.literal(1),
  kind: z.enum(['member', 'run']),
  group: z.string().transform((text) => text as ServerGroupName),
  ordinal: z.number(),
  artifact: z.string(),
  exclusiveVolumes: z.array(z.string()),
  port: z.number().optional(),
  startedAtMs: z.number(),
  bootId: z.string(),
});

export interface Container {
  readonly containerId: string;
  readonly id: InstanceId;
  readonly service: ServiceKey;
  readonly description: z.output<typeof descriptionShape>;
  /** The engine's word: created, running, paused, exited, dead, removing. */
  readonly status: string;
  /** On the host; 0 when nothing of it runs. */
  readonly pid: number;
  /** On 127.0.0.1 of the host. */
  readonly publicPort: number | undefined;
  readonly exitCode: number;
  readonly outOfMemory: boolean;
  /** Why it could not be started; empty when it could. */
  readonly error: string;
  readonly finishedAtMs: number;
}

interface Found {
  readonly containers: readonly Container[];
  readonly generation: number;
  readonly atMs: number;
}

export class Containers {
  readonly #client: EngineClient;
  readonly #owner: string;
  readonly #clock: Clock;
  readonly #log: TargetLog;
  readonly #onChange: () => void;
  readonly #closing = new AbortController();
  /** Counts changes: what was found before one of them is old. */
  #generation = 0;
  #found: Found | undefined;
  #looking: { readonly generation: number; readonly result: Promise<Found> } | undefined;
  /** What the engine said of a container in a state; it says the same again while that lasts. */
  #details = new Map<string, z.output<typeof inspectShape>['State']>();
  #hearsEvents = false;
  #watching: Promise<void> = Promise.resolve();

  constructor(client: EngineClient, owner: string, clock: Clock, log: TargetLog, onChange: () => void) {
    this.#client = client;
    this.#owner = owner;
    this.#clock = clock;
    this.#log = log;
    this.#onChange = onChange;
  }

  /** Begins to listen to the engine's events. */
  watch(): void {
    this.#watching = this.#watch();
  }

  /** As they are now. Fails with `target.unavailable` when the engine does not answer. */
  async list(): Promise<readonly Container[]> {
    const generation = this.#generation;
    const found = this.#found;
    const isFresh = found !== undefined && this.#clock.monotonic() - found.atMs < TRUST_MS;
    if (isFresh && this.#hearsEvents && found.generation === generation) return found.containers;
    if (this.#looking?.generation !== generation) {
      const result = this.#look(generation);
      const looking = { generation, result };
      this.#looking = looking;
      const done = (): void => {
        if (this.#looking === looking) this.#looking = undefined;
      };
      result.then(done, done);
    }
    return (await this.#looking.result).containers;
  }

  /** Something was changed here: what was seen before is old. */
  changed(): void {
    this.#generation += 1;
  }

  async close(): Promise<void> {
    this.#closing.abort(new KilnError('aborted', 'The target is being closed; containers go on.'));
    await this.#watching;
  }

  async #look(generation: number): Promise<Found> {
    const { signal } = this.#closing;
    const query = { all: '1', ...filters({ label: [`${LABEL.owner}=${this.#owner}`] }) };
    const listed = await this.#client.json(listShape, {
      method: 'GET',
      path: '/containers/json',
      query,
      signal,
      limitMs: 30_000,
    });
    const details = new Map<string, z.output<typeof inspectShape>['State']>();
    const containers = await Promise.all(
      listed.map(async (one) => {
        const key = `${one.Id} ${one.State}`;
        const state = this.#details.get(key) ?? (await this.#inspect(one.Id));
        if (state === undefined) return [];
        // What is only created may yet turn out not to start, under the same name for its state.
        if (state.Status === one.State && one.State !== 'created') details.set(key, state);
        return this.#container(one, state);
      }),
    );
    this.#details = details;
    const found = { containers: containers.flat(), generation, atMs: this.#clock.monotonic() };
    if (this.#found === undefined || this.#found.generation <= generation) this.#found = found;
    return found;
  }

  /** Undefined: it has gone meanwhile. */
  async #inspect(containerId: string): Promise<z.output<typeof inspectShape>['State'] | undefined> {
    const { signal } = this.#closing;
    try {
      const path = `/containers/${containerId}/json`;
      return (await this.#client.json(inspectShape, { method: 'GET', path, signal })).State;
    } catch (error) {
      if (isRefusal(error, 404)) return undefined;
      throw error;
    }
  }

  #container(
    listed: z.output<typeof listShape>[number],
    state: z.output<typeof inspectShape>['State'],
  ): readonly Container[] {
    const text = listed.Labels[LABEL.description] ?? '';
    const description = descriptionShape.safeParse(parseJson(text));
    if (!description.success) {
      // A newer Kiln's, perhaps: left alone.
      this.#log.warn({ container: listed.Id }, 'a container cannot be read');
      return [];
    }
    const { port } = description.data;
    const published = listed.Ports?.find((one) => one.PrivatePort === port && one.PublicPort !== undefined);
    return [
      {
        containerId: listed.Id,
        id: (listed.Labels[LABEL.instance] ?? '') as InstanceId,
        service: (listed.Labels[LABEL.service] ?? '') as ServiceKey,
        description: description.data,
        status: state.Status,
        pid: state.Pid,
        publicPort: published?.PublicPort,
        exitCode: state.ExitCode,
        outOfMemory: state.OOMKilled,
        error: state.Error,
        finishedAtMs: Date.parse(state.FinishedAt),
      },
    ];
  }

  async #watch(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#hear(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (this.#hearsEvents) this.#log.warn({ error: String(error) }, 'the Docker engine went away');
      }
      this.#hearsEvents = false;
      this.changed();
      await this.#clock.sleep(RECONNECT_MS, signal).catch(() => undefined);
    }
  }

  async #hear(signal: AbortSignal): Promise<void> {
    const query = filters({ type: ['container'], label: [`${LABEL.owner}=${this.#owner}`] });
    const events = await this.#client.open({ method: 'GET', path: '/events', query, signal });
    this.#hearsEvents = true;
    this.changed();
    this.#onChange();
    for await (const _ of events) {
      this.changed();
      this.#onChange();
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the shape says so.
    return undefined;
  }
}

/** Whom a run, such as a test in the image, can ask: an instance of its own group. */
export function neighbourOf(
  { kind, spec }: LaunchRequest,
  containers: readonly Container[],
): Neighbour | undefined {
  if (kind !== 'run') return undefined;
  for (const { containerId, status, description } of containers) {
    const { group, port } = description;
    if (group === spec.group && status === 'running' && port !== undefined) return { containerId, port };
  }
  return undefined;
}
