/** Takes secrets out of a stream of bytes, however it is cut: what may be the beginning of one is held back. */

const MASKED = '***';
/** A shorter line of a secret is no secret: masking `}` everywhere would tell nothing and hide much. */
const LEAST_LINE = 8;

export class Mask {
  /** As latin1, in which a byte is a character; the longest first, since one may hold another. */
  readonly #secrets: readonly string[];
  #held = '';

  constructor(secrets: readonly string[]) {
    const parts = secrets.flatMap((secret) => [
      secret,
      ...secret.split(/\r?\n/).filter((line) => line.length >= LEAST_LINE),
    ]);
    this.#secrets = [...new Set(parts)]
      .filter((part) => part !== '')
      .map((part) => Buffer.from(part, 'utf8').toString('latin1'))
      .toSorted((one, other) => other.length - one.length);
  }

  take(bytes: Uint8Array): Buffer {
    if (this.#secrets.length === 0) return Buffer.from(bytes);
    let text = this.#held + Buffer.from(bytes).toString('latin1');
    let out = '';
    for (;;) {
      const next = this.#first(text);
      if (next === undefined) break;
      out += text.slice(0, next.at) + MASKED;
      text = text.slice(next.at + next.length);
    }
    const held = this.#beginning(text);
    this.#held = text.slice(text.length - held);
    return Buffer.from(out + text.slice(0, text.length - held), 'latin1');
  }

  /** What was held back, since nothing follows: it was no secret. */
  end(): Buffer {
    const held = this.#held;
    this.#held = '';
    return Buffer.from(held, 'latin1');
  }

  #first(text: string): { readonly at: number; readonly length: number } | undefined {
    let first: { readonly at: number; readonly length: number } | undefined;
    for (const secret of this.#secrets) {
      const at = text.indexOf(secret);
      if (at !== -1 && (first === undefined || at < first.at)) first = { at, length: secret.length };
    }
    return first;
  }

  #beginning(text: string): number {
    let most = 0;
    for (const secret of this.#secrets) {
      for (let length = Math.min(secret.length - 1, text.length); length > most; length -= 1) {
        if (text.endsWith(secret.slice(0, length))) most = length;
      }
    }
    return most;
  }
}
