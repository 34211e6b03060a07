/** Reads a JSONPath as Amazon States Language uses it: Jayway's dialect. */

export type Operand =
  | { readonly kind: 'value'; readonly value: null | boolean | number | string }
  | { readonly kind: 'path'; readonly from: '@' | '$'; readonly steps: readonly Step[] };

export type Filter =
  | { readonly kind: 'all' | 'any'; readonly of: readonly Filter[] }
  | { readonly kind: 'not'; readonly of: Filter }
  | { readonly kind: 'exists'; readonly path: Operand }
  | { readonly kind: 'compare'; readonly operator: string; readonly left: Operand; readonly right: Operand };

export type Step =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'names'; readonly names: readonly string[] }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'indices'; readonly indices: readonly number[] }
  | { readonly kind: 'slice'; readonly from?: number; readonly to?: number; readonly by: number }
  | { readonly kind: 'any' }
  | { readonly kind: 'descend' }
  | { readonly kind: 'filter'; readonly filter: Filter }
  /** At the end of a path only. */
  | { readonly kind: 'function'; readonly name: PathFunction };

const PATH_FUNCTIONS = ['length', 'sum', 'min', 'max', 'avg', 'keys'] as const;
export type PathFunction = (typeof PATH_FUNCTIONS)[number];

export interface JsonPath {
  /** `$` the input, `$$` the context object, or the name of a variable. */
  readonly root:
    | { readonly kind: 'input' }
    | { readonly kind: 'context' }
    | { readonly kind: 'variable'; readonly name: string };
  readonly steps: readonly Step[];
}

export class PathSyntaxError extends Error {
  override readonly name = 'PathSyntaxError';
}

/** Throws PathSyntaxError. */
export function parsePath(text: string): JsonPath {
  const reader = new PathReader(text);
  const path = reader.path();
  reader.end();
  return path;
}

const COMPARISONS = ['==', '!=', '<=', '>=', '=~', '<', '>'] as const;
const NAME = /[^\s.[\]()'",*:?@&|=!<>~+/\\]+/y;
const VARIABLE = /[\p{ID_Start}_][\p{ID_Continue}]*/uy;

class PathReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  path(): JsonPath {
    this.#expect('$');
    if (this.#take('$')) return { root: { kind: 'context' }, steps: this.#steps() };
    const variable = this.#match(VARIABLE);
    if (variable !== undefined) return { root: { kind: 'variable', name: variable }, steps: this.#steps() };
    return { root: { kind: 'input' }, steps: this.#steps() };
  }

  end(): void {
    if (this.#at < this.#text.length) this.#fail();
  }

  #steps(): readonly Step[] {
    const steps: Step[] = [];
    for (;;) {
      if (this.#take('..')) {
        steps.push({ kind: 'descend' });
        steps.push(this.#peek('[') ? this.#bracket() : this.#dotted());
      } else if (this.#take('.')) steps.push(this.#dotted());
      else if (this.#peek('[')) steps.push(this.#bracket());
      else return steps;
    }
  }

  #dotted(): Step {
    if (this.#take('*')) return { kind: 'any' };
    const name = this.#match(NAME);
    if (name === undefined) return this.#fail();
    return this.#take('()') ? this.#function(name) : { kind: 'name', name };
  }

  #function(written: string): Step {
    const name = PATH_FUNCTIONS.find((known) => known === written) ?? this.#fail();
    if (this.#peek('.') || this.#peek('[')) this.#fail();
    return { kind: 'function', name };
  }

  #bracket(): Step {
    this.#expect('[');
    this.#space();
    const step = this.#inBracket();
    this.#space();
    this.#expect(']');
    return step;
  }

  #inBracket(): Step {
    if (this.#take('*')) return { kind: 'any' };
    if (this.#take('?')) return this.#filter();
    if (this.#peek("'") || this.#peek('"')) return this.#quotedNames();
    return this.#numbers();
  }

  #quotedNames(): Step {
    const names = [this.#quoted()];
    for (this.#space(); this.#take(','); this.#space()) {
      this.#space();
      names.push(this.#quoted());
    }
    const [only] = names;
    return names.length === 1 && only !== undefined ? { kind: 'name', name: only } : { kind: 'names', names };
  }

  #numbers(): Step {
    const first = this.#integer();
    this.#space();
    if (this.#take(':')) return this.#slice(first);
    if (first === undefined) return this.#fail();
    const indices = [first];
    for (; this.#take(','); this.#space()) {
      this.#space();
      indices.push(this.#integer() ?? this.#fail());
    }
    return indices.length === 1 ? { kind: 'index', index: first } : { kind: 'indices', indices };
  }

  #slice(from: number | undefined): Step {
    const to = this.#integer();
    const by = this.#take(':') ? (this.#integer() ?? 1) : 1;
    if (by < 1) this.#fail();
    return {
      kind: 'slice',
      ...(from !== undefined && { from }),
      ...(to !== undefined && { to }),
      by,
    };
  }

  #filter(): Step {
    this.#space();
    this.#expect('(');
    const filter = this.#or();
    this.#space();
    this.#expect(')');
    return { kind: 'filter', filter };
  }

  #or(): Filter {
    const of = [this.#and()];
    for (this.#space(); this.#take('||'); this.#space()) of.push(this.#and());
    return of.length === 1 && of[0] !== undefined ? of[0] : { kind: 'any', of };
  }

  #and(): Filter {
    const of = [this.#condition()];
    for (this.#space(); this.#take('&&'); this.#space()) of.push(this.#condition());
    return of.length === 1 && of[0] !== undefined ? of[0] : { kind: 'all', of };
  }

  #condition(): Filter {
    this.#space();
    if (this.#take('!')) return { kind: 'not', of: this.#condition() };
    if (this.#take('(')) {
      const inner = this.#or();
      this.#space();
      this.#expect(')');
      return inner;
    }
    const left = this.#operand();
    this.#space();
    const operator = COMPARISONS.find((sign) => this.#take(sign));
    if (operator === undefined) return left.kind === 'path' ? { kind: 'exists', path: left } : this.#fail();
    this.#space();
    return { kind: 'compare', operator, left, right: this.#operand() };
  }

  #operand(): Operand {
    for (const from of ['@', '$'] as const) {
      if (this.#take(from)) return { kind: 'path', from, steps: this.#steps() };
    }
    if (this.#peek("'") || this.#peek('"')) return { kind: 'value', value: this.#quoted() };
    for (const [word, value] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (this.#take(word)) return { kind: 'value', value };
    }
    const number = this.#match(/-?\d+(\.\d+)?([eE][-+]?\d+)?/y);
    return number === undefined ? this.#fail() : { kind: 'value', value: Number(number) };
  }

  #quoted(): string {
    const quote = this.#text[this.#at] ?? '';
    if (quote !== "'" && quote !== '"') this.#fail();
    let value = '';
    for (let at = this.#at + 1; at < this.#text.length; at += 1) {
      const character = this.#text[at] ?? '';
      if (character === quote) {
        this.#at = at + 1;
        return value;
      }
      const next = this.#text[at + 1];
      // A backslash only guards the quote and itself; before anything else it is part of the name, as at AWS.
      if (character === '\\' && (next === quote || next === '\\')) at += 1;
      value += this.#text[at] ?? '';
    }
    return this.#fail();
  }

  #integer(): number | undefined {
    const digits = this.#match(/-?\d+/y);
    return digits === undefined ? undefined : Number(digits);
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

  #peek(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    if (!this.#peek(text)) return false;
    this.#at += text.length;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) this.#fail();
  }

  #fail(): never {
    throw new PathSyntaxError(`not a JSONPath at character ${this.#at + 1} of '${this.#text}'`);
  }
}
