/**
 * The servers that share the store. Each says every few seconds that it lives and where it is reached; a store that
 * is this server's own has nobody else to hear it, and nothing is said.
 */
import { hostname } from 'node:os';
import { BEAT_EVERY_MS, type KnownServer } from '../domain/known-server.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { ServerStore } from '../domain/ports/servers.ts';
import { Rounds } from './rounds.ts';

const FORGOTTEN_AFTER_MS = 30 * 24 * 3_600_000;

export interface KnownServersParts {
  readonly store: ServerStore;
  readonly clock: Clock;
  readonly log: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
  /** Of this server's state directory. */
  readonly id: string;
  readonly version: string;
  readonly startedAtMs: number;
  /** Other servers may work on the same store. */
  readonly shares: boolean;
}

export class KnownServers {
  readonly id: string;
  readonly host = hostname();
  readonly #parts: KnownServersParts;
  #beats: Rounds | undefined;
  #url = '';

  constructor(parts: KnownServersParts) {
    this.id = parts.id;
    this.#parts = parts;
  }

  /** Known to the others when it resolves. */
  async start(url: string): Promise<void> {
    this.#url = url;
    if (!this.#parts.shares) return;
    await this.#beat();
    const { clock, log } = this.#parts;
    const onFailure = 'cannot say that this server lives; trying again';
    this.#beats = new Rounds({ everyMs: BEAT_EVERY_MS, clock, log, onFailure }, () => this.#beat());
    this.#beats.start();
  }

  async close(): Promise<void> {
    if (this.#beats === undefined) return;
    await this.#beats.close();
    await this.#parts.store.stopped(this.id, this.#parts.clock.now());
  }

  async list(): Promise<readonly KnownServer[]> {
    return this.#parts.shares ? await this.#parts.store.list() : [this.#self()];
  }

  /** Undefined: never heard of, or forgotten since. */
  async get(id: string): Promise<KnownServer | undefined> {
    return id === this.id ? this.#self() : await this.#parts.store.get(id);
  }

  #self(): KnownServer {
    const { version, startedAtMs, clock } = this.#parts;
    return { id: this.id, url: this.#url, host: this.host, version, startedAtMs, seenAtMs: clock.now() };
  }

  #beat(): Promise<void> {
    const { store, clock } = this.#parts;
    return store.beat(this.#self(), clock.now() - FORGOTTEN_AFTER_MS);
  }
}
