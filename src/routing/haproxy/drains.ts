/** When what is in flight on a leaving or draining server is cut, and the cutting. */
import type { HeldServer } from './held.ts';
import type { HaproxyInstance } from './instance.ts';
import { cutOnOldWorkers } from './old-workers.ts';
import { fullName } from './wanted.ts';

/** For what leaves a pool that nothing is known of any more. */
const DEFAULT_DRAIN_MS = 30_000;

export class Drains {
  readonly #instance: HaproxyInstance;
  readonly #drainMs = new Map<string, number>();
  /** By full name. */
  readonly #cutAtMs = new Map<string, number>();

  constructor(instance: HaproxyInstance) {
    this.#instance = instance;
  }

  /** Kept when the pool is gone: its servers still have that long. */
  allow(backend: string, drainMs: number): void {
    this.#drainMs.set(backend, drainMs);
  }

  /** `going`: those of `held` that leave or drain. */
  async cutOverdue(held: readonly HeldServer[], going: readonly HeldServer[], nowMs: number): Promise<void> {
    const names = new Set(going.map(fullName));
    for (const server of held) {
      if (!names.has(fullName(server))) this.#cutAtMs.delete(fullName(server));
    }
    for (const server of going) {
      const name = fullName(server);
      const drainMs = this.#drainMs.get(server.backend) ?? DEFAULT_DRAIN_MS;
      const cutAtMs = this.#cutAtMs.get(name) ?? nowMs + drainMs;
      this.#cutAtMs.set(name, cutAtMs);
      if (nowMs < cutAtMs) continue;
      if (server.sessions > 0) await this.#instance.runtime.run([`shutdown sessions server ${name}`]);
      await cutOnOldWorkers(this.#instance, name);
    }
  }
}
