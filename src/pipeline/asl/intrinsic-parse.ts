/** Reads a call such as `States.Format('{} of {}', $.name, States.ArrayLength($.all))`. */

export type Argument =
  | { readonly kind: 'value'; readonly value: null | boolean | number | string }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'call'; readonly call: Call };

export interface Call {
  readonly name: string;
  readonly args: readonly Argument[];
  /** As it was written. */
  readonly text: string;
}

export class IntrinsicSyntaxError extends Error {
  override readonly name = 'IntrinsicSyntaxError';
}

/** Deep enough for any honest call. */
const MAX_DEPTH = 10;

/** Throws IntrinsicSyntaxError. */
export function parseIntrinsic(text: string): Call {
  const reader = new CallReader(text);
  const call = reader.call(0);
  reader.end();
  return call;
}

class CallReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  call(depth: number): Call {
    if (depth >= MAX_DEPTH) this.#fail(`more than ${MAX_DEPTH} calls inside each other`);
    this.#space();
    const start = this.#at;
    const name = this.#match(/States\.[A-Za-z0-9]+/y) ?? this.#fail('a function of States is expected');
    this.#space();
    this.#expect('(');
    const args: Argument[] = [];
    this.#space();
    if (!this.#take(')')) {
      do args.push(this.#argument(depth));
      while (this.#take(','));
      this.#expect(')');
    }
    return { name, args, text: this.#text.slice(start, this.#at) };
  }

  end(): void {
    this.#space();
    if (this.#at < this.#text.length) this.#fail('nothing may follow the call');
  }

  #argument(depth: number): Argument {
    this.#space();
    const argument = this.#bareArgument(depth);
    this.#space();
    return argument;
  }

  #bareArgument(depth: number): Argument {
    const first = this.#text[this.#at];
    if (first === "'") return { kind: 'value', value: this.#quoted() };
    if (first === '$') return { kind: 'path', path: this.#path() };
    if (this.#text.startsWith('States.', this.#at)) return { kind: 'call', call: this.call(depth + 1) };
    const word = this.#match(/true|false|null/y);
    if (word !== undefined) return { kind: 'value', value: word === 'null' ? null : word === 'true' };
    const number = this.#match(/-?\d+(\.\d+)?([eE][-+]?\d+)?/y);
    if (number !== undefined) return { kind: 'value', value: Number(number) };
    return this.#fail('an argument is expected');
  }

  /** Up to the comma or bracket that ends the argument, which is none inside quotes or brackets. */
  #path(): string {
    const start = this.#at;
    let open = 0;
    let quote: string | undefined;
    for (; this.#at < this.#text.length; this.#at += 1) {
      const character = this.#text[this.#at] ?? '';
      if (quote !== undefined) {
        if (character === '\\') this.#at += 1;
        else if (character === quote) quote = undefined;
        continue;
      }
      if (open === 0 && (character === ',' || character === ')')) break;
      if (character === "'" || character === '"') quote = character;
      else if (character === '[' || character === '(') open += 1;
      else if (character === ']' || character === ')') open -= 1;
    }
    return this.#text.slice(start, this.#at).trimEnd();
  }

  /** A backslash keeps the meaning of what follows for the function (`\{`), except of a quote or itself. */
  #quoted(): string {
    let value = '';
    for (let at = this.#at + 1; at < this.#text.length; at += 1) {
      const character = this.#text[at] ?? '';
      if (character === "'") {
        this.#at = at + 1;
        return value;
      }
      if (character !== '\\') value += character;
      else {
        at += 1;
        const next = this.#text[at] ?? '';
        value += next === '{' || next === '}' ? `\\${next}` : (ESCAPES[next] ?? next);
      }
    }
    return this.#fail('a quote is not closed');
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #space(): void {
    this.#match(/\s*/y);
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) this.#fail(`"${text}" is expected`);
  }

  #fail(why: string): never {
    throw new IntrinsicSyntaxError(`${why} at character ${this.#at + 1} of "${this.#text}"`);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };
