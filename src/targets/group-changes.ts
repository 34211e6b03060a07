/** Tells whoever listens of groups that do not look as they did. */
import { KilnError } from '../domain/errors.ts';
import type { ServerGroupName } from '../domain/ids.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { GroupRecords } from './group-records.ts';
import { observeGroup } from './group-view.ts';
import type { InstanceEngine } from './instance-engine.ts';

type Listener = (group: ServerGroupName) => void;

export class GroupChanges {
  readonly #engine: InstanceEngine;
  readonly #records: GroupRecords;
  readonly #clock: Clock;
  readonly #listeners = new Set<Listener>();
  readonly #lastSeen = new Map<ServerGroupName, string>();

  constructor(engine: InstanceEngine, records: GroupRecords, clock: Clock) {
    this.#engine = engine;
    this.#records = records;
    this.#clock = clock;
  }

  /** Answers how to stop listening. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async announce(): Promise<void> {
    if (this.#listeners.size === 0) return;
    const everything = await this.#engine.instances().catch((error: unknown) => {
      // Each group that could not be looked at has said so already; there is nothing to announce.
      if (error instanceof KilnError && error.code === 'target.unavailable') return undefined;
      throw error;
    });
    if (everything === undefined) return;
    for (const { spec } of this.#records.groups()) {
      const { group } = spec;
      const instances = everything.filter((one) => one.group === group);
      const seen = JSON.stringify(
        observeGroup(group, this.#records.group(group), instances, this.#clock.now()),
      );
      if (this.#lastSeen.get(group) === seen) continue;
      this.#lastSeen.set(group, seen);
      this.#tell(group);
    }
  }

  gone(group: ServerGroupName): void {
    this.#lastSeen.delete(group);
    this.#tell(group);
  }

  #tell(group: ServerGroupName): void {
    for (const listener of this.#listeners) listener(group);
  }
}
