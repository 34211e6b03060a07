/** What an exchange stands between: what it forwards by, and the client that it answers. */
import type { Socket } from 'node:net';
import type { Limits } from './limits.ts';
import type { LiveTable } from './live-table.ts';
import type { Page } from './pages.ts';
import type { PoolState } from './pool.ts';
import type { RequestHead } from './request-head.ts';

/** What requests are forwarded by. */
export interface Forwarding {
  readonly table: LiveTable;
  readonly limits: Limits;
  readonly listenPort: number;
  /** True when the header's value is the secret that lets a client ask who answered. */
  isProbe(value: string): boolean;
  /** How long requests of the pool may wait for a healthy endpoint. */
  holdMs(pool: PoolState): number;
  now(): number;
}

/** The client's side of an exchange. */
export interface Downstream {
  readonly address: string;
  /** False: its connection ends with this answer. */
  readonly mayBeKept: boolean;
  /** False: wait for `clientDrained` before writing more. */
  write(data: string | Buffer): boolean;
  pause(): void;
  resume(): void;
  destroy(): void;
  /** A fault of the router's own. */
  failed(thrown: unknown): void;
  /** The answer is out. */
  answered(mayKeep: boolean): void;
  answerWith(page: Page, head: RequestHead, isRequestDone: boolean): void;
  /** What came after a request that asked for an upgrade. */
  takeEarlyBytes(): Buffer | undefined;
  surrender(): Socket;
  tunnelled(): void;
}
