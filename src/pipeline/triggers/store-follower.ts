/** Channels that moved and pipelines that ended, from the store's own events: each once, none left out. */
import type { KilnEvent } from '../../domain/audit.ts';
import type { EventStore } from '../../domain/ports/events.ts';
import type { ExecutionStore } from '../../domain/ports/executions.ts';
import type { TriggerStore } from '../../domain/ports/triggers.ts';
import type { PipelineSource, TriggerEvent } from '../../domain/trigger.ts';
import { isUntrusted } from '../strangers.ts';
import type { TriggerInbox } from './inbox.ts';
import { concerns } from './matching.ts';

const CURSOR = 'store-events';
const PAGE = 500;
/** Read again after a crash at most: what they start is known by then. */
const NOTE_EVERY = 2_000;

export interface FollowerParts {
  readonly store: Pick<TriggerStore, 'cursor' | 'note'>;
  readonly inbox: Pick<TriggerInbox, 'startFor'>;
  readonly events: Pick<EventStore, 'after' | 'revision'>;
  readonly executions: Pick<ExecutionStore, 'get'>;
}

export class StoreFollower {
  readonly #parts: FollowerParts;
  #position: number | undefined;
  #noted = 0;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  /** Takes what happened since it was called last, on whatever server that was. */
  async follow(sources: readonly PipelineSource[]): Promise<void> {
    const { events, store } = this.#parts;
    if (this.#position === undefined) {
      const noted = await store.cursor(CURSOR);
      this.#position = noted ?? (await events.revision());
      if (noted === undefined) await store.note(CURSOR, this.#position);
      this.#noted = this.#position;
    }
    for (;;) {
      const news = await events.after(this.#position, PAGE);
      let hasTaken = false;
      for (const one of news) hasTaken = (await this.#take(one, sources)) || hasTaken;
      this.#position = news.at(-1)?.revision ?? this.#position;
      if (hasTaken || this.#position - this.#noted >= NOTE_EVERY) {
        await store.note(CURSOR, this.#position);
        this.#noted = this.#position;
      }
      if (news.length < PAGE) return;
    }
  }

  /** Whoever takes over begins where the store says. */
  forget(): void {
    this.#position = undefined;
  }

  async #take(event: KilnEvent, sources: readonly PipelineSource[]): Promise<boolean> {
    // What was before a source was registered is none of its affairs, though it may be read again.
    const there = sources.filter(({ createdAtMs }) => createdAtMs <= event.atMs);
    const wanted = (await this.#triggersOf(event, there)).filter((one) =>
      there.some((source) => concerns(source, one)),
    );
    for (const one of wanted)
      await this.#parts.inbox.startFor(one, { actor: one.kind, happenedAtMs: event.atMs });
    return wanted.length > 0;
  }

  async #triggersOf(
    { kind, subject, data, revision }: KilnEvent,
    sources: readonly PipelineSource[],
  ): Promise<readonly TriggerEvent[]> {
    if (kind === 'channel.moved') {
      const { component, channel, image } = data;
      const moved = {
        component: String(component),
        channel: String(channel),
        image: String(image),
        revision,
      };
      return [
        { kind: 'channel-moved', ...moved },
        { kind: 'base-moved', ...moved },
      ];
    }
    if (kind !== 'execution.ended' || !sources.some(({ triggers }) => triggers.pipeline.length > 0))
      return [];
    const record = await this.#parts.executions.get(subject);
    // What a stranger's change comes to has others begin nothing: they have the rights of their owners.
    if (record === undefined || isUntrusted(record.input)) return [];
    return [
      { kind: 'pipeline-ended', pipeline: record.pipeline, execution: subject, status: String(data.status) },
    ];
  }
}
