/**
 * Hides secrets in a stream of bytes, however it is cut: what comes out is the same as if the whole had been masked at
 * once. Every byte that belongs to an occurrence is hidden, and each run of such bytes becomes one mask, so that two
 * secrets that overlap leave nothing of either.
 *
 * INVARIANT: a byte is let go only once no occurrence can cover it any more, whatever follows. What is held back is
 * shorter than the longest form of a secret, and the beginning of one.
 */
import { formsOf } from './secret-forms.ts';

const MASK = Buffer.from('***');
const NOTHING = Buffer.alloc(0);

export class Masker {
  /** Forms by their first byte. */
  readonly #forms: readonly (readonly Buffer[] | undefined)[];
  /** By the first two bytes: 1 where a form begins so. */
  readonly #begins = new Uint8Array(65_536);
  readonly #isIdle: boolean;
  /** Held back: the beginning of a form, perhaps. */
  #held: Buffer = NOTHING;
  /** So many of the held bytes belong to an occurrence that is known. */
  #coveredBytes = 0;
  /** The last byte that went out was hidden. */
  #inMask = false;

  constructor(secrets: readonly string[]) {
    const all = formsOf(secrets);
    this.#isIdle = all.length === 0;
    const forms: Buffer[][] = [];
    for (const form of all) {
      const [first = 0, second] = form;
      forms[first] = [...(forms[first] ?? []), form];
      if (second !== undefined) this.#begins[first * 256 + second] = 1;
      else this.#begins.fill(1, first * 256, first * 256 + 256);
    }
    this.#forms = forms;
  }

  /** What may be shown now; the rest comes with what follows, or at the end. */
  push(bytes: Buffer): Buffer {
    if (this.#isIdle) return bytes;
    const text = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    return this.#pass(text, false);
  }

  end(): Buffer {
    return this.#pass(this.#held, true);
  }

  /** Newlines that are held back. */
  get heldNewlines(): number {
    return newlinesIn(this.#held);
  }

  #pass(text: Buffer, isEnd: boolean): Buffer {
    const out: Buffer[] = [];
    let shown = 0;
    let covered = this.#coveredBytes;
    const hide = (from: number, to: number): void => {
      if (from > shown) this.#inMask = false;
      if (from > shown) out.push(text.subarray(shown, from));
      if (!this.#inMask && to > from) out.push(MASK);
      if (to > from) this.#inMask = true;
      shown = Math.max(shown, to);
    };
    let at = 0;
    let coverBegin = 0;
    for (; at < text.length; at += 1) {
      const second = text[at + 1];
      const first = text[at] ?? 0;
      const mayBegin =
        second === undefined ? this.#forms[first] !== undefined : this.#begins[first * 256 + second];
      if (!mayBegin) continue;
      const found = this.#longestAt(text, at);
      if (found === 'cut' && !isEnd) break;
      const end = at + (found === 'cut' ? this.#longestWholeAt(text, at) : found);
      if (end === at || end <= covered) continue;
      if (at > covered) {
        hide(coverBegin, covered);
        coverBegin = at;
      }
      covered = end;
    }
    // All before `at` is decided; an occurrence that is known may go beyond it.
    hide(coverBegin, Math.min(covered, at));
    if (at > shown) {
      out.push(text.subarray(shown, at));
      this.#inMask = false;
    }
    this.#held = Buffer.from(text.subarray(at));
    this.#coveredBytes = Math.max(0, covered - at);
    return out.length === 1 ? (out[0] ?? NOTHING) : Buffer.concat(out);
  }

  /** Bytes of the longest form that begins here; `cut`: one may, and the text ends before it does. */
  #longestAt(text: Buffer, at: number): number | 'cut' {
    let longest = 0;
    for (const form of this.#forms[text[at] ?? 0] ?? []) {
      const there = Math.min(form.length, text.length - at);
      if (form.compare(text, at, at + there, 0, there) !== 0) continue;
      if (there < form.length) return 'cut';
      longest = Math.max(longest, form.length);
    }
    return longest;
  }

  #longestWholeAt(text: Buffer, at: number): number {
    let longest = 0;
    for (const form of this.#forms[text[at] ?? 0] ?? []) {
      if (form.length <= text.length - at && form.compare(text, at, at + form.length) === 0)
        longest = Math.max(longest, form.length);
    }
    return longest;
  }
}

export function newlinesIn(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) count += 1;
  return count;
}
