/**
 * Where events come in, whoever tells them. Each is stored for every source that it concerns before anybody acts on it;
 * what it then starts is `TriggeredStarts`' affair. Told twice, it is stored once.
 */
import type { Clock } from '../../domain/ports/clock.ts';
import type { TriggerStore } from '../../domain/ports/triggers.ts';
import type { PipelineSource, TriggerEvent } from '../../domain/trigger.ts';
import { eventKey, executionOf } from './event-key.ts';
import { concerns } from './matching.ts';

/** What an event is to one source: news, or told before. */
export interface Taken {
  readonly source: string;
  /** The execution that it starts, unless its filters pass it over. Absent: it was told before. */
  readonly execution?: string;
}

interface Teller {
  readonly actor: string;
  /** Where it may be long ago: sources that were registered later are not meant. */
  readonly happenedAtMs?: number;
  /** Of a push that was found by comparing: see `TriggerStore.take`. */
  readonly since?: { readonly head: string | undefined };
}

export class TriggerInbox {
  readonly #store: Pick<TriggerStore, 'sources' | 'take'>;
  readonly #clock: Clock;
  readonly #newId: () => string;

  constructor(store: Pick<TriggerStore, 'sources' | 'take'>, clock: Clock, newId: () => string) {
    this.#store = store;
    this.#clock = clock;
    this.#newId = newId;
  }

  /** Durable when it resolves. Answers one entry for each source that the event concerns; none: nobody watches that. */
  async startFor(event: TriggerEvent, teller: Teller): Promise<readonly Taken[]> {
    const sources = (await this.#store.sources()).filter(
      (source) =>
        concerns(source, event) && source.createdAtMs <= (teller.happenedAtMs ?? source.createdAtMs),
    );
    return Promise.all(sources.map((source) => this.#take(source, event, teller)));
  }

  async #take({ id }: PipelineSource, event: TriggerEvent, { actor, since }: Teller): Promise<Taken> {
    const key = eventKey(event, this.#newId());
    const number = await this.#store.take(id, key, event, { actor, atMs: this.#clock.now() }, since);
    return { source: id, ...(number !== undefined && { execution: executionOf(id, key) }) };
  }
}
