/**
 * Hears of commits by NOTIFY on a connection of its own.
 *
 *   connecting ─► listening ─(connection lost)─► pausing ─► connecting …
 *
 * Each time it listens anew it pokes, since what was said meanwhile was not heard; and in every mode
 * a slow poll pokes too, so that a listener that cannot connect delays readers but stops none.
 */
import type { Client, ClientConfig } from 'pg';
import type { Watch } from '../engine.ts';
import { closed } from './closing.ts';

export const CHANNEL = 'kiln_revision';
const POLL_MS = 1_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;

export interface Listening {
  readonly connect: (config: ClientConfig) => Client;
  readonly config: ClientConfig;
  readonly random: () => number;
}

export class NotifyWatch implements Watch {
  readonly #listening: Listening;
  readonly #poke: () => void;
  readonly #poll: NodeJS.Timeout;
  #client: Client | undefined;
  #pause: NodeJS.Timeout | undefined;
  #failures = 0;
  #closed = false;

  constructor(listening: Listening, poke: () => void) {
    this.#listening = listening;
    this.#poke = poke;
    this.#poll = setInterval(poke, POLL_MS).unref();
    void this.#listen();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#pause);
    await this.#drop(this.#client);
  }

  async #listen(): Promise<void> {
    const client = this.#listening.connect(this.#listening.config);
    this.#client = client;
    // `error` and `end` may both come, or `connect` may reject: only the first one counts.
    const lost = () => this.#lost(client);
    client.on('error', lost);
    client.on('end', lost);
    client.on('notification', this.#poke);
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
      this.#failures = 0;
      this.#poke();
    } catch {
      // Tried again for ever; meanwhile the poll goes on, and writes and reads report the trouble.
      lost();
    }
  }

  #lost(client: Client): void {
    if (this.#closed || this.#client !== client) return;
    this.#client = undefined;
    void this.#drop(client);
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures);
    this.#failures += 1;
    const pauseMs = longest * (0.5 + this.#listening.random() / 2);
    this.#pause = setTimeout(() => void this.#listen(), pauseMs).unref();
  }

  async #drop(client: Client | undefined): Promise<void> {
    if (client) await closed(client.end());
  }
}
