/** Entry of the worker threads: takes tasks one after the other, answers each. */
import { parentPort } from 'node:worker_threads';
import { KilnError } from '../../domain/errors.ts';
import { copy } from './copy.ts';
import { extract } from './extract.ts';
import { list } from './list.ts';
import { BUFFER_BYTES, pack } from './pack.ts';
import { scan } from './scan.ts';
import { seal } from './seal.ts';
import type { StopFlag, Task, TaskFailure, TaskMessage, TaskResults } from './tasks.ts';

function perform(task: Task, buffer: Buffer, stop: StopFlag): TaskResults[keyof TaskResults] {
  switch (task.kind) {
    case 'scan':
      return scan(task, stop);
    case 'pack':
      return pack(task, buffer, stop);
    case 'unpack':
      return extract(task, buffer, stop);
    case 'seal':
      return seal(task);
    case 'list':
      return list(task);
    case 'copy':
      return copy(task, buffer, stop);
  }
}

function asFailure(thrown: unknown): TaskFailure {
  const systemCode = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : undefined;
  const known = thrown instanceof KilnError ? thrown : undefined;
  return {
    failed: {
      code: known?.code,
      systemCode: known === undefined ? systemCode : undefined,
      message: thrown instanceof Error ? thrown.message : String(thrown),
      next: known?.next,
    },
  };
}

const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);

parentPort?.on('message', ({ task, stop }: TaskMessage) => {
  try {
    parentPort?.postMessage({ result: perform(task, buffer, stop) });
  } catch (error) {
    parentPort?.postMessage(asFailure(error));
  }
});
