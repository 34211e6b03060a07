/**
 * Entry of the baker process: bakes and unpacks bundles for the server, so that what a large app takes in memory goes
 * with the process. It ends when told to, and at once when the server has gone; what it leaves then is swept by the
 * next server.
 */
import { randomUUID } from 'node:crypto';
import { enableCompileCache } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildRequest } from '../../domain/ports/builder.ts';
import { FileBlobStore } from '../blobs.ts';
import { unpackBundle } from '../unpack.ts';
import {
  type Answers,
  asFailure,
  type BakerSetup,
  type Call,
  type FromBaker,
  type ToBaker,
} from './baker-messages.ts';
import { BundleBuilder } from './bundle-builder.ts';
import { WorkerPool } from './worker-pool.ts';

/** The threads end before the process does: most of its memory is theirs. */
const THREADS_IDLE_MS = 30_000;
/** Requests planned and perhaps never built, because nothing had changed. */
const REQUESTS_KEPT = 8;

class BakerProcess {
  readonly #blobs: FileBlobStore;
  readonly #pool: WorkerPool;
  readonly #builder: BundleBuilder;
  readonly #underWay = new Map<number, AbortController>();
  /** The builder knows what it planned by the very object. Oldest first. */
  readonly #requests = new Map<number, BuildRequest>();

  constructor({ name, stateDirectory, host, arch, workerEntry, threads }: BakerSetup) {
    this.#blobs = new FileBlobStore(path.join(stateDirectory, 'blobs'), name);
    this.#pool = new WorkerPool({ workerEntry, threads, idleMs: THREADS_IDLE_MS });
    this.#builder = new BundleBuilder({
      blobs: this.#blobs,
      pool: this.#pool,
      stateDirectory,
      host,
      clock: { now: () => Date.now() },
      arch,
      randomId: () => `${name}-${randomUUID()}`,
    });
  }

  async answer(id: number, call: Call): Promise<void> {
    const controller = new AbortController();
    this.#underWay.set(id, controller);
    try {
      say({ kind: 'answer', id, answer: await this.#perform(id, call, controller.signal) });
    } catch (error) {
      say({ kind: 'failure', id, failure: asFailure(error) });
    } finally {
      this.#underWay.delete(id);
    }
  }

  abort(id: number): void {
    this.#underWay.get(id)?.abort();
  }

  close(): Promise<void> {
    return this.#builder.close();
  }

  async #perform(id: number, call: Call, signal: AbortSignal): Promise<Answers[keyof Answers]> {
    const onProgress = (progress: Extract<FromBaker, { kind: 'progress' }>['progress']): void =>
      say({ kind: 'progress', id, progress });
    switch (call.verb) {
      case 'plan':
        return this.#builder.plan(this.#sameRequest(call.key, call.request), signal);
      case 'build':
        return this.#builder.build(this.#sameRequest(call.key, call.request), onProgress, signal);
      case 'verify':
        return this.#builder.verify(call.request, call.artifact, onProgress, signal);
      case 'unpack':
        await unpackBundle({ blobs: this.#blobs, pool: this.#pool }, call.digest, call.destination, signal);
        return undefined;
    }
  }

  #sameRequest(key: number, request: BuildRequest): BuildRequest {
    const known = this.#requests.get(key) ?? request;
    this.#requests.set(key, known);
    for (const oldest of this.#requests.keys()) {
      if (this.#requests.size <= REQUESTS_KEPT) break;
      this.#requests.delete(oldest);
    }
    return known;
  }
}

function say(message: FromBaker): void {
  // The server may have gone meanwhile: then nobody waits, and `disconnect` ends this process.
  if (process.connected) process.send?.(message);
}

const here = fileURLToPath(import.meta.url);
if (!here.endsWith('.ts')) enableCompileCache(fileURLToPath(new URL('./compile-cache', import.meta.url)));

let baker: BakerProcess | undefined;

process.on('message', (message: ToBaker) => {
  switch (message.kind) {
    case 'open':
      baker = new BakerProcess(message.setup);
      return;
    case 'call':
      void baker?.answer(message.id, message.call);
      return;
    case 'abort':
      baker?.abort(message.id);
      return;
    case 'close':
      void baker?.close().finally(() => process.exit(0));
      return;
  }
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C and a service manager's stop reach the whole group: the server decides what becomes of the bake.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
