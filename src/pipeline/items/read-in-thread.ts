/** Reads the items of a file in a thread of its own, which ends with it: one that needs too much takes only itself down. */
import { Worker } from 'node:worker_threads';
import { readerFailure } from '../asl/item-reader.ts';
import type { Json } from '../asl/json.ts';
import type { ItemFile } from './item-file.ts';
import type { ItemThreadAnswer } from './item-thread.ts';

export interface FoundItems {
  readonly items: readonly Json[];
  /** As JSON. */
  readonly sizeBytes: number;
}

/** A file that is damaged just so keeps its reader turning for ever. */
const LIMIT_MS = 60_000;
const HEAP_MB = 512;

/**
 * Fails with a StateFailure (`States.ItemReaderFailed`), or as aborted.
 * @param entry absolute path of `item-thread.ts`, or of what it was built to
 */
export async function readInThread(entry: string, file: ItemFile, signal: AbortSignal): Promise<FoundItems> {
  signal.throwIfAborted();
  const worker = new Worker(entry, {
    name: 'kiln-items',
    workerData: file,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  const stopped = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
  const stop = (): void => void worker.terminate();
  stopped.addEventListener('abort', stop, { once: true });
  try {
    const answer = await answerOf(worker);
    signal.throwIfAborted();
    if (answer === undefined) throw readerFailure(`The file was not read within ${LIMIT_MS / 1_000} s.`);
    if ('failed' in answer) throw readerFailure(answer.failed);
    return answer;
  } finally {
    stopped.removeEventListener('abort', stop);
    await worker.terminate();
  }
}

/** Undefined: it was ended before it answered. */
function answerOf(worker: Worker): Promise<ItemThreadAnswer | undefined> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('exit', () => resolve(undefined));
    worker.once('error', (error) => reject(outOfMemory(error) ? tooMuch() : error));
  });
}

function outOfMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
}

function tooMuch(): Error {
  return readerFailure(`To read the file takes more than ${HEAP_MB} MiB of memory.`);
}
