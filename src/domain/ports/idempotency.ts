import type { CallAttempt } from '../change.ts';

export interface SavedAnswer {
  readonly status: number;
  readonly body: string;
}

export interface KeyedCall extends CallAttempt {
  readonly actor: string;
  /** Tells one call from another that has the same key by mistake. */
  readonly requestHash: string;
}

export type KeyState =
  /** The attempt holds the key. `made`: subject of what an earlier one made, which ended before it had answered. */
  | { readonly kind: 'begun'; readonly made?: string }
  /** Another attempt holds it, and has not answered yet. */
  | { readonly kind: 'in-progress' }
  | { readonly kind: 'answered'; readonly answer: SavedAnswer }
  /** The key is of another call. */
  | { readonly kind: 'mismatch' };

type HeldCall = Omit<KeyedCall, 'requestHash'>;

/** Keys of calls. One that is held must be renewed every few seconds: otherwise the next attempt gets it. */
export interface IdempotencyStore {
  begin(call: KeyedCall, atMs: number): Promise<KeyState>;
  renew(call: HeldCall, atMs: number): Promise<void>;
  /** Does nothing when another attempt holds the key, as do `renew` and `forget`. */
  finish(call: HeldCall, answer: SavedAnswer, atMs: number): Promise<void>;
  /** For a call that failed: its key is free, and what was made under it stays known. */
  forget(call: HeldCall): Promise<void>;
  /** All of attempts whose names begin so, as with leases. */
  releaseAll(attempts: string): Promise<void>;
}
