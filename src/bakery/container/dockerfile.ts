/**
 * What must be known of a Dockerfile before it is built: what it stands on, and what it asks of the builder. Pure. The
 * format: docs.docker.com/reference/dockerfile.
 */
import { KilnError } from '../../domain/errors.ts';

interface Instruction {
  readonly word: string;
  /** As written, with its continuation lines. */
  readonly text: string;
}

/** Images that the file stands on, each once, in the order of the file. */
export function baseImages(text: string, args: Readonly<Record<string, string>>): readonly string[] {
  const found = new Set<string>();
  eachFrom(text, args, (image) => {
    found.add(image);
    return image;
  });
  return [...found];
}

/** The same file on these images, with a label in every stage by which what a failed build leaves is found. */
export function pinned(
  text: string,
  args: Readonly<Record<string, string>>,
  ids: ReadonlyMap<string, string>,
  label: { readonly name: string; readonly value: string },
): string {
  return eachFrom(text, args, (image) => ids.get(image) ?? image, `LABEL ${label.name}=${label.value}`);
}

/** Fails with `target.unsupported` on mounts that need a BuildKit session, which Kiln does not open. */
export function refuseSessionMounts(text: string): void {
  for (const { word, text: line } of instructions(text)) {
    const kind = word === 'RUN' ? /--mount=(?:\S*,)?type=(secret|ssh)\b/.exec(line)?.[1] : undefined;
    if (kind === undefined) continue;
    throw new KilnError(
      'target.unsupported',
      `The Dockerfile asks for a ${kind} mount, which needs a BuildKit session; Kiln opens none.`,
      { next: 'Fetch what needs it before the bake, or build without it.' },
    );
  }
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
      lines.push(line);
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

function filledIn(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(
    /\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))/g,
    (_, braced: string | undefined, fallback: string | undefined, bare: string | undefined) =>
      values.get(braced ?? bare ?? '') || (fallback ?? ''),
  );
}

/** Logical lines: what a backslash continues is one; comments and blank lines are passed on as they are. */
function instructions(text: string): readonly Instruction[] {
  const found: Instruction[] = [];
  let open: string[] = [];
  for (const line of text.split('\n')) {
    const isComment = /^\s*#/.test(line);
    open.push(line);
    if (open.length > 1 && (isComment || line.trim() === '')) continue; // Passed over within a continued line.
    if (!isComment && /\\\s*$/.test(line)) continue;
    const whole = open.join('\n');
    found.push({ word: isComment ? '' : (/^\s*(\w+)/.exec(whole)?.[1] ?? '').toUpperCase(), text: whole });
    open = [];
  }
  if (open.length > 0) found.push({ word: '', text: open.join('\n') });
  return found;
}
