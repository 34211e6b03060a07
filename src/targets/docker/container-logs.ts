/** What instances wrote: of containers that are there from the engine, of those that have gone from files. */
import { mkdir, open } from 'node:fs/promises';
import { outputLines } from '../../docker/container-output.ts';
import { type EngineClient, isRefusal } from '../../docker/engine-client.ts';
import type { InstanceId, ServerGroupName, ServiceKey } from '../../domain/ids.ts';
import type { LogLine, LogQuery } from '../../domain/ports/target.ts';
import type { LogFiles } from '../log-files.ts';
import type { Container, Containers } from './containers.ts';
import type { DockerLayout } from './layout.ts';

/** Of a container that goes. */
const KEPT_LINES = 20_000;
const LOOK_AGAIN_MS = 250;
/** Lines that wait for a slow reader; the engine waits with the rest. */
const WAITING_LINES = 1_000;

export interface ContainerLogParts {
  readonly client: EngineClient;
  readonly containers: Containers;
  readonly kept: LogFiles;
  readonly layout: DockerLayout;
}

export class ContainerLogs {
  readonly #parts: ContainerLogParts;

  constructor(parts: ContainerLogParts) {
    this.#parts = parts;
  }

  async tail(container: Container, lines: number, signal: AbortSignal): Promise<readonly string[]> {
    const texts: string[] = [];
    for await (const text of this.#lines(container, String(lines), false, signal)) texts.push(text);
    return texts;
  }

  /** Writes down what the container wrote, before it goes. */
  async keep(container: Container, service: ServiceKey, signal: AbortSignal): Promise<void> {
    const at = this.#parts.layout.instance(container.id);
    await mkdir(at.directory, { recursive: true, mode: 0o700 });
    const file = await open(at.log, 'w', 0o600);
    try {
      for await (const text of this.#lines(container, String(KEPT_LINES), false, signal)) {
        await file.write(`${text}\n`);
      }
    } finally {
      await file.close();
    }
    await this.#parts.kept.keep(container.id, service);
  }

  async *read(
    groups: readonly ServerGroupName[],
    query: LogQuery,
    signal: AbortSignal,
  ): AsyncGenerator<LogLine> {
    const { kept, containers } = this.#parts;
    yield* kept.read(groups, { ...query, follow: false }, signal);
    const wanted = new Set(groups);
    const mine = async () =>
      (await containers.list()).filter((container) => wanted.has(container.description.group));
    if (query.follow) yield* this.#follow(mine, query.tail, signal);
    else {
      for (const container of await mine()) {
        for await (const text of this.#lines(container, String(query.tail), false, signal)) {
          yield { instance: container.id, text };
        }
      }
    }
  }

  /** Of those that are there the tail, of each that comes later everything, in the order in which it is seen. */
  async *#follow(
    mine: () => Promise<readonly Container[]>,
    tail: number,
    signal: AbortSignal,
  ): AsyncGenerator<LogLine> {
    const ending = new AbortController();
    const all = AbortSignal.any([signal, ending.signal]);
    const queue = new Waiting(all);
    const followed = new Set<InstanceId>();
    let first = true;
    const followNew = async (): Promise<void> => {
      for (const container of await mine()) {
        if (followed.has(container.id)) continue;
        followed.add(container.id);
        void this.#feed(queue, container, first ? String(tail) : 'all', all);
      }
      first = false;
    };
    await followNew();
    const timer = setInterval(() => followNew().catch((error) => queue.fail(error)), LOOK_AGAIN_MS);
    try {
      yield* queue;
    } finally {
      clearInterval(timer);
      ending.abort();
    }
  }

  async #feed(queue: Waiting, container: Container, tail: string, signal: AbortSignal): Promise<void> {
    try {
      for await (const text of this.#lines(container, tail, true, signal)) {
        await queue.put({ instance: container.id, text });
      }
    } catch (error) {
      if (!signal.aborted) queue.fail(error);
    }
  }

  async *#lines(
    container: Container,
    tail: string,
    follow: boolean,
    signal: AbortSignal,
  ): AsyncGenerator<string> {
    const query = { stdout: '1', stderr: '1', tail, ...(follow ? { follow: '1' } : {}) };
    const path = `/containers/${container.containerId}/logs`;
    try {
      const output = await this.#parts.client.open({ method: 'GET', path, query, signal });
      yield* outputLines(output);
    } catch (error) {
      if (isRefusal(error, 404) || isRefusal(error, 409)) return; // It has gone meanwhile.
      throw error;
    }
  }
}

/** Lines from several writers for one reader. Ends when the signal says so, and then quietly. */
class Waiting implements AsyncIterable<LogLine> {
  readonly #signal: AbortSignal;
  #lines: LogLine[] = [];
  #failure: { readonly error: unknown } | undefined;
  #wakeReader: () => void = () => {};
  #wakeWriters: (() => void)[] = [];

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wakeAll(), { once: true });
  }

  async put(line: LogLine): Promise<void> {
    this.#lines.push(line);
    this.#wakeReader();
    if (this.#lines.length < WAITING_LINES || this.#signal.aborted) return;
    await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wakeReader();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LogLine> {
    for (;;) {
      const lines = this.#lines;
      this.#lines = [];
      for (const wake of this.#wakeWriters.splice(0)) wake();
      for (const line of lines) {
        if (this.#signal.aborted) return;
        yield line;
      }
      if (this.#signal.aborted) return;
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#lines.length > 0) continue;
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  #wakeAll(): void {
    this.#wakeReader();
    for (const wake of this.#wakeWriters.splice(0)) wake();
  }
}
