/**
 * Routers that have handed their listening socket over and still finish what they have. They must see every
 * table change, for a kept connection may bring them one more request, and what they have in flight counts.
 */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import type { EndpointObservation, RouterObservation } from '../../domain/routing.ts';
import { ControlClient } from './control-client.ts';
import { type ControlRequest, observationSchema, servicesSchema } from './protocol.ts';

const NAME = /^predecessor-\d+\.sock$/;
const CALL_TIMEOUT_MS = 5_000;

export function predecessorSocket(stateDirectory: string, pid: number): string {
  return path.join(stateDirectory, `predecessor-${pid}.sock`);
}

export class Predecessors {
  readonly #clients = new Map<string, ControlClient>();

  /** Finds those that run beside this state directory; `own` is not one of them. */
  async find(stateDirectory: string, own: string): Promise<void> {
    for (const name of await readdir(stateDirectory)) {
      const file = path.join(stateDirectory, name);
      if (!NAME.test(name) || file === own || this.#clients.has(file)) continue;
      this.#clients.set(file, new ControlClient(file));
    }
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Gives the change to every one that still lives; a dead one holds nothing any more. */
  async tell(request: ControlRequest): Promise<void> {
    await Promise.all([...this.#clients.keys()].map((file) => this.#ask(file, request)));
  }

  /** Adds what they have in flight to what this router sees. */
  async observe(own: RouterObservation): Promise<RouterObservation> {
    if (this.#clients.size === 0) return own;
    const answers = await Promise.all(
      [...this.#clients.keys()].map((file) => this.#ask(file, { op: 'observe', service: own.service })),
    );
    const others = answers.flatMap((answer) => observationSchema.safeParse(answer).data ?? []);
    return {
      ...own,
      endpoints: addInFlight(
        own.endpoints,
        others.flatMap((each) => each.endpoints),
      ),
    };
  }

  async services(): Promise<readonly RouterObservation['service'][]> {
    const answers = await Promise.all(
      [...this.#clients.keys()].map((file) => this.#ask(file, { op: 'services' })),
    );
    return answers.flatMap((answer) => servicesSchema.safeParse(answer).data ?? []);
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }

  /** Undefined: it is gone, and forgotten. */
  async #ask(file: string, request: ControlRequest): Promise<unknown> {
    try {
      return await this.#clients
        .get(file)
        ?.call(request, AbortSignal.timeout(CALL_TIMEOUT_MS), CALL_TIMEOUT_MS);
    } catch (thrown) {
      if (!(thrown instanceof KilnError && thrown.code === 'router.unreachable')) throw thrown;
      this.#clients.get(file)?.close();
      this.#clients.delete(file);
      await rm(file, { force: true });
      return undefined;
    }
  }
}

/** Those that only a predecessor knows are let go of as soon as it has nothing in flight there. */
function addInFlight(
  own: readonly EndpointObservation[],
  others: readonly EndpointObservation[],
): EndpointObservation[] {
  const sums = new Map(own.map((each) => [each.instance, each]));
  for (const other of others) {
    const known = sums.get(other.instance);
    if (known !== undefined)
      sums.set(other.instance, { ...known, inFlight: known.inFlight + other.inFlight });
    else if (other.inFlight > 0) sums.set(other.instance, { ...other, draining: true });
  }
  return [...sums.values()];
}
