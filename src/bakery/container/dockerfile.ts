/**
 * What must be known of a Dockerfile before it is built: what it stands on, and what it asks of the builder. Pure. The
 * format: docs.docker.com/reference/dockerfile.
 */
import { KilnError } from '../../domain/errors.ts';

export interface Instruction {
  readonly word: string;
  /** As written, with its continuation lines and here-documents. */
  readonly text: string;
  /** Of its beginning; from 1. */
  readonly line: number;
}

/** The flags that follow an instruction's word, with the word. */
export const FLAGS = /^\s*[A-Za-z]+(?:(?:\s|\\\r?\n)+--\S+)*/;
/** `COPY --from=…`, `RUN --mount=…,from=…`. */
const FROM_FLAG = /(--from=|--mount=(?:\S*,)?from=)([^,\s]+)/g;
/** A line that names another frontend to read the file with. */
const SYNTAX = /^\s*#\s*syntax\s*=/i;
const HERE_DOCUMENT = /<<-?(["']?)([A-Za-z_]\w*)\1/g;

/** Images that the file stands on, each once, in the order of the file. */
export function baseImages(text: string, args: Readonly<Record<string, string>>): readonly string[] {
  const found = new Set<string>();
  eachFrom(text, args, (image) => {
    found.add(image);
    return image;
  });
  return [...found];
}

/**
 * The same file on these images, line by line. With a label, it stands in every stage: by it is found what a failed
 * build of the classic builder leaves.
 */
export function pinned(
  text: string,
  args: Readonly<Record<string, string>>,
  ids: ReadonlyMap<string, string>,
  label?: { readonly name: string; readonly value: string },
): string {
  const afterwards = label === undefined ? undefined : `LABEL ${label.name}=${label.value}`;
  return eachFrom(text, args, (image) => ids.get(image) ?? image, afterwards);
}

function eachFrom(
  text: string,
  args: Readonly<Record<string, string>>,
  replace: (image: string) => string,
  afterwards?: string,
): string {
  const values = new Map<string, string>();
  const stages = new Set<string>();
  let begun = false;
  const lines: string[] = [];
  for (const { word, text: line } of instructions(text)) {
    if (word === 'ARG' && !begun) {
      const [, name = '', value] = /^\s*ARG\s+(\w+)(?:=("[^"]*"|'[^']*'|\S*))?/i.exec(line) ?? [];
      values.set(name, args[name] ?? (value ?? '').replace(/^["']|["']$/g, ''));
    }
    if (word !== 'FROM') {
      lines.push(word === 'COPY' || word === 'RUN' ? withImages(line, stages, replace) : line);
      continue;
    }
    begun = true;
    const [, before = '', written = '', rest = ''] =
      /^(\s*FROM\s+(?:--\S+\s+)*)(\S+)([\s\S]*)$/i.exec(line) ?? [];
    const image = filledIn(written, values);
    const isOwn = image === 'scratch' || stages.has(image.toLowerCase());
    lines.push(isOwn ? line : `${before}${replace(image)}${rest}`);
    if (afterwards !== undefined) lines.push(afterwards);
    const [, stage] = /\sAS\s+(\S+)/i.exec(rest) ?? [];
    if (stage !== undefined) stages.add(stage.toLowerCase());
  }
  if (!begun) {
    throw new KilnError('input.invalid', 'The Dockerfile has no FROM.', { next: 'Begin it with FROM.' });
  }
  return `${lines.join('\n')}\n`;
}

/** An image that files are taken from is as much an input as one that is built on. */
function withImages(line: string, stages: ReadonlySet<string>, replace: (image: string) => string): string {
  return line.replace(FLAGS, (flags) =>
    flags.replaceAll(FROM_FLAG, (whole, flag: string, source: string) => {
      const isOwn = /^\d+$/.test(source) || stages.has(source.toLowerCase());
      return isOwn ? whole : `${flag}${replace(source)}`;
    }),
  );
}

function filledIn(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(
    /\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))/g,
    (_, braced: string | undefined, fallback: string | undefined, bare: string | undefined) =>
      values.get(braced ?? bare ?? '') || (fallback ?? ''),
  );
}

/**
 * Logical lines: what a backslash continues is one, and so is an instruction with its here-documents; comments and blank
 * lines are passed on as they are. That another frontend is wanted is not: nothing is fetched to read the file with.
 */
export function instructions(text: string): readonly Instruction[] {
  const found: Instruction[] = [];
  let open: string[] = [];
  let awaited: string[] = [];
  const close = (at: number): void => {
    const whole = open.join('\n');
    const word = (/^\s*(\w+)/.exec(whole)?.[1] ?? '').toUpperCase();
    found.push({ word: /^\s*#/.test(whole) ? '' : word, text: whole, line: at - open.length + 2 });
    open = [];
  };
  for (const [at, line] of text.split('\n').entries()) {
    const isComment = /^\s*#/.test(line);
    open.push(isComment && SYNTAX.test(line) ? line.replace('=', ' ') : line);
    if (awaited.length > 0) {
      if (line.trim() === awaited[0]) awaited.shift();
      if (awaited.length === 0) close(at);
      continue;
    }
    if (open.length > 1 && (isComment || line.trim() === '')) continue; // Passed over within a continued line.
    if (!isComment && /\\\s*$/.test(line)) continue;
    const whole = open.join('\n');
    if (/^\s*(?:RUN|COPY|ADD)\s/i.test(whole)) {
      awaited = [...whole.matchAll(HERE_DOCUMENT)].map(([, , end = '']) => end);
    }
    if (awaited.length === 0) close(at);
  }
  if (open.length > 0) found.push({ word: '', text: open.join('\n'), line: 0 });
  return found;
}
