/** What a server and its workers say to each other; changed in step with `WORKER_PROTOCOL`. */
import { KilnError } from '../../domain/errors.ts';
import type { KeptArtifact } from '../../domain/ports/artifacts.ts';
import type { CommandOutput, CommandWish } from '../commands/command-wish.ts';

/** 1: artifacts did not travel, and a worker was not told for how long it may be silent. */
export const WORKER_PROTOCOL = 2;

/** Of a piece of an artifact on its way to the server. */
export const PIECE_BYTES = 4 * 1024 * 1024;

/** Fails with `worker.protocol`. */
export function assertProtocol(spoken: number): void {
  if (spoken === WORKER_PROTOCOL) return;
  const is = spoken < WORKER_PROTOCOL ? 'older' : 'newer';
  throw new KilnError(
    'worker.protocol',
    `The worker is ${is} than this server: it speaks version ${spoken} of the workers’ protocol, and the server ${WORKER_PROTOCOL}.`,
    { next: `Install the server’s version of Kiln where the worker runs.` },
  );
}

/** The id of a job names the server that has it. */
export function jobId(server: string, id: string): string {
  return `${server}.${id}`;
}

/** Undefined: it is no id of a job. */
export function serverOfJob(id: string): string | undefined {
  return /^([0-9a-f-]{36})\.[\w-]+$/.exec(id)?.[1];
}

/** What a worker is given. The values of secrets go to it, and nowhere else. */
export interface Offer {
  readonly id: string;
  readonly lease: string;
  readonly key: string;
  readonly execution: string;
  readonly pipeline: string;
  readonly state: string;
  readonly mayChange: boolean;
  readonly wish: CommandWish;
  /** Only the server has the source: it sends it. */
  readonly sourceTravels: boolean;
  readonly secretValues: Readonly<Record<string, string>>;
  /** A worker that is silent for so long is taken for dead: it ends the job by itself before that. */
  readonly silentMs: number;
  /** Of its state: the worker is to be heard more often. */
  readonly heartbeatMs?: number;
}

export type JobEnd = { readonly output: CommandOutput } | { readonly error: string; readonly cause: string };

/** What a worker asks of its server. Each fails with `input.conflict` once the job is not the worker's. */
export interface WorkerServer {
  /** Undefined: none has come within that time. */
  take(waitSeconds: number, signal: AbortSignal): Promise<Offer | undefined>;
  begin(offer: Offer, signal: AbortSignal): Promise<void>;
  /** Instead of beginning it. */
  release(offer: Offer, signal: AbortSignal): Promise<void>;
  beat(offer: Offer, signal: AbortSignal): Promise<void>;
  log(offer: Offer, piece: { group?: string; bytes?: Uint8Array }, signal: AbortSignal): Promise<void>;
  end(offer: Offer, end: JobEnd, signal: AbortSignal): Promise<void>;
  /** The source that travels, packed. */
  source(offer: Offer, signal: AbortSignal): Promise<KeptArtifact>;
  /** The source, or an artifact that the job names, from this byte on. Fails with `not-found`. */
  fetch(offer: Offer, digest: string, offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  send(offer: Offer, piece: ArtifactPiece, signal: AbortSignal): Promise<void>;
  /** Fails with `blob.damaged` when other bytes have arrived; they are then to be sent again. */
  keep(offer: Offer, artifact: KeptArtifact, signal: AbortSignal): Promise<void>;
}

export interface ArtifactPiece {
  readonly digest: string;
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}
