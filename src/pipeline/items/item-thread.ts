/** Entry of the thread that the items of one file are read in: millions of cells would hold the server up. */
import { parentPort, workerData } from 'node:worker_threads';
import { StateFailure } from '../asl/failure.ts';
import type { Json } from '../asl/json.ts';
import { type ItemFile, itemsOfFile } from './item-file.ts';

export type ItemThreadAnswer =
  | { readonly items: readonly Json[]; readonly sizeBytes: number }
  /** The cause. */
  | { readonly failed: string };

async function answerTo(file: ItemFile): Promise<ItemThreadAnswer> {
  try {
    const items = await itemsOfFile(file);
    return { items, sizeBytes: Buffer.byteLength(JSON.stringify(items)) };
  } catch (thrown) {
    if (thrown instanceof StateFailure) return { failed: thrown.failure.cause ?? '' };
    throw thrown;
  }
}

parentPort?.postMessage(await answerTo(workerData));
