/** One task by itself, as an execution of its own: for whoever runs pipelines elsewhere. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../domain/ports/clock.ts';
import type { ExecutionRecord, ExecutionStore } from '../../domain/ports/executions.ts';
import { readPipeline } from '../definition/pipeline-file.ts';
import type { Starter } from '../pipelines.ts';
import { RESOURCES } from '../task-registry.ts';
import type { Machines } from './machines.ts';

export interface SingleTasksParts {
  readonly store: Pick<ExecutionStore, 'get' | 'create'>;
  readonly machines: Machines;
  readonly clock: Clock;
}

export interface SingleTask {
  readonly task: string;
  /** Its arguments. */
  readonly input: unknown;
  /** It is begun once for a key, however often it is asked for. */
  readonly key: string;
}

export class SingleTasks {
  readonly #parts: SingleTasksParts;

  constructor(parts: SingleTasksParts) {
    this.#parts = parts;
  }

  /** Fails with `pipeline.invalid` for a task that there is none of. */
  async run({ task, input, key }: SingleTask, { actor, rights, attempt }: Starter): Promise<ExecutionRecord> {
    const { store, machines, clock } = this.#parts;
    const id = `exec-${createHash('sha256').update(`${actor}\0${key}`).digest('hex').slice(0, 32)}`;
    const there = await store.get(id);
    if (there !== undefined) return there;
    const states = { [task]: { Type: 'Task', Resource: task, End: true } };
    const text = JSON.stringify({ StartAt: task, States: states });
    const { machine } = await readPipeline(text, 'the task', { resources: RESOURCES });
    const definition = await machines.put(machine);
    const origin = {
      id,
      pipeline: `task ${task}`,
      definition,
      input,
      priority: 0,
      ...(rights && { rights }),
    };
    return store.create(origin, 'queue', { actor, atMs: clock.now(), ...(attempt && { attempt }) });
  }
}
