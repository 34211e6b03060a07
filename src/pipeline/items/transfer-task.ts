/** A transfer of a distributed Map as a piece of work among the others: it is stopped and cancelled as tasks are. */
import type { ReadItems, WriteResults } from '../asl/execution.ts';
import { isArray, type Json } from '../asl/json.ts';
import type { TaskEnd } from '../executor/running-tasks.ts';
import type { EventPart } from '../executor/stored-state.ts';
import { type Task, TaskFailed } from '../task.ts';
import { type MapTransfers, type TransferOwner, transferCause } from './map-transfers.ts';

type Transfer = ReadItems | WriteResults;

export function transferTask(
  transfers: Pick<MapTransfers, 'read' | 'write'> | undefined,
  request: Transfer,
  owner: TransferOwner,
): Task {
  return {
    name: request.type,
    does: 'reads items, or writes results',
    repeat: 'same-key',
    takesPlace: false,
    async run(_, signal): Promise<Json> {
      try {
        if (transfers === undefined) throw new Error('This server reads no items and writes no results.');
        return request.type === 'readItems'
          ? await transfers.read(request, owner, signal)
          : await transfers.write(request, owner, signal);
      } catch (thrown) {
        const error = request.type === 'readItems' ? 'States.ItemReaderFailed' : 'States.ResultWriterFailed';
        throw new TaskFailed(error, transferCause(thrown));
      }
    },
  };
}

/** What the interpreter waits for. */
export function transferEnd({ type, task }: Transfer, end: TaskEnd): EventPart {
  if (end.type !== 'taskSucceeded') return end;
  if (type === 'writeResults') return { type: 'resultsWritten', task, details: end.output };
  return { type: 'itemsRead', task, items: isArray(end.output) ? end.output : [end.output] };
}
