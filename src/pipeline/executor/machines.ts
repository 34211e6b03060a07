/** Definitions by the digest of their content, read once and kept while they are used. */
import { createHash } from 'node:crypto';
import { KilnError } from '../../domain/errors.ts';
import type { ExecutionStore } from '../../domain/ports/executions.ts';
import type { StateMachine } from '../asl/definition.ts';
import { stateMachine } from '../asl/schema.ts';
import { taskLimits } from '../asl/task-limit.ts';
import { type LimitOf, withLimits } from '../definition/verb-limits.ts';

const KEPT = 200;

/** As it is kept: with the limits that held when it was put, so that every replay sees the same ones. */
const keptMachine = stateMachine.extend({ limits: taskLimits.optional() });

export class Machines {
  readonly #store: Pick<ExecutionStore, 'definition' | 'putDefinition'>;
  /** In order of last use. */
  readonly #known = new Map<string, Promise<StateMachine>>();

  readonly #limitOf: LimitOf | undefined;

  /** Without `limitOf`, tasks that name no time-out have what the language gives them. */
  constructor(store: Pick<ExecutionStore, 'definition' | 'putDefinition'>, limitOf?: LimitOf) {
    this.#store = store;
    this.#limitOf = limitOf;
  }

  /** Its name, under which every server finds it. */
  async put(given: StateMachine): Promise<string> {
    const machine = this.#limitOf ? withLimits(given, this.#limitOf) : given;
    const name = `sha256:${createHash('sha256').update(JSON.stringify(machine)).digest('hex')}`;
    await this.#store.putDefinition(name, machine);
    return name;
  }

  get(name: string): Promise<StateMachine> {
    const machine = this.#known.get(name) ?? this.#read(name);
    this.#known.delete(name);
    this.#known.set(name, machine);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KEPT && oldest !== undefined) this.#known.delete(oldest);
    return machine;
  }

  async #read(name: string): Promise<StateMachine> {
    try {
      // Its rules were checked before it was put; an older Kiln's may be other ones.
      const read = keptMachine.safeParse(await this.#store.definition(name));
      if (read.success) return read.data;
      throw new KilnError('store.damaged', `The pipeline definition ${name} cannot be read.`, {
        cause: read.error,
        next: 'Restore the store from a backup.',
      });
    } catch (error) {
      this.#known.delete(name);
      throw error;
    }
  }
}
