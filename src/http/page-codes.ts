import type { Actor } from '../domain/audit.ts';
import { secretHash } from './auth.ts';

const PREFIX = 'kilncode_';
const CODE_BYTES = 32;
const LIFETIME_MS = 60_000;
/** Beyond this the oldest is forgotten: nobody needs so many within a minute. */
const CODES_KEPT = 1_000;

interface KeptCode {
  readonly actor: Actor;
  readonly expiresAtMs: number;
}

/**
 * Codes that open the page. Each is good once, for a minute, and only for the call that exchanges it. Kept in
 * memory as hashes: a server that restarts has forgotten them, and `kiln open` makes another.
 */
export class PageCodes {
  readonly #kept = new Map<string, KeptCode>();
  readonly #randomBytes: (size: number) => Uint8Array;

  constructor(randomBytes: (size: number) => Uint8Array) {
    this.#randomBytes = randomBytes;
  }

  create(actor: Actor, nowMs: number): { readonly code: string; readonly expiresAtMs: number } {
    const code = PREFIX + Buffer.from(this.#randomBytes(CODE_BYTES)).toString('base64url');
    const expiresAtMs = nowMs + LIFETIME_MS;
    for (const [hash, kept] of this.#kept) {
      if (kept.expiresAtMs <= nowMs || this.#kept.size >= CODES_KEPT) this.#kept.delete(hash);
      else break;
    }
    this.#kept.set(secretHash(code), { actor, expiresAtMs });
    return { code, expiresAtMs };
  }

  /** Whom the code stands for; it is used up. Undefined: it is not one, was used, or is too old. */
  take(secret: string, nowMs: number): Actor | undefined {
    if (!secret.startsWith(PREFIX)) return undefined;
    const hash = secretHash(secret);
    const kept = this.#kept.get(hash);
    this.#kept.delete(hash);
    return kept !== undefined && kept.expiresAtMs > nowMs ? kept.actor : undefined;
  }
}
