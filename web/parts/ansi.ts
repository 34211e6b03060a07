/** Text of terminals as pieces with their look: the colours and weights of ECMA-48; all other sequences are dropped. */

export interface Piece {
  readonly text: string;
  /** Classes of `style.css`. */
  readonly classes: string;
  /** A colour of its own, where no class has it. */
  readonly color?: string;
}

interface Look {
  readonly bold: boolean;
  readonly dim: boolean;
  readonly underline: boolean;
  readonly color: number | string | undefined;
}

const PLAIN: Look = { bold: false, dim: false, underline: false, color: undefined };
// Control sequences, commands to the operating system, and two-byte escapes.
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is these that are looked for
const SEQUENCE = /\u001b(?:\[([0-9;:?]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;

export function ansiPieces(line: string): readonly Piece[] {
  // What a progress bar has overwritten is gone.
  const text = line.slice(line.lastIndexOf('\r') + 1);
  const pieces: Piece[] = [];
  let look = PLAIN;
  let at = 0;
  const add = (end: number): void => {
    if (end > at) pieces.push(pieceOf(text.slice(at, end), look));
  };
  for (const found of text.matchAll(SEQUENCE)) {
    add(found.index);
    at = found.index + found[0].length;
    if (found[2] === 'm') look = changed(look, (found[1] ?? '').split(/[;:]/).map(Number));
  }
  add(text.length);
  return pieces;
}

function pieceOf(text: string, { bold, dim, underline, color }: Look): Piece {
  const classes = [
    ...(bold ? ['bold'] : []),
    ...(dim ? ['dim'] : []),
    ...(underline ? ['underline'] : []),
    ...(typeof color === 'number' ? [`ansi-${color}`] : []),
  ].join(' ');
  return { text, classes, ...(typeof color === 'string' && { color }) };
}

function changed(before: Look, codes: readonly number[]): Look {
  let look = before;
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0;
    if (code === 0) look = PLAIN;
    else if (code === 1) look = { ...look, bold: true };
    else if (code === 2) look = { ...look, dim: true };
    else if (code === 4) look = { ...look, underline: true };
    else if (code === 22) look = { ...look, bold: false, dim: false };
    else if (code === 24) look = { ...look, underline: false };
    else if (code >= 30 && code <= 37) look = { ...look, color: code - 30 };
    else if (code >= 90 && code <= 97) look = { ...look, color: code - 82 };
    else if (code === 39) look = { ...look, color: undefined };
    else if (code === 38 || code === 48) {
      const [kind, ...values] = codes.slice(at + 1);
      if (code === 38) look = { ...look, color: ownColor(kind, values) };
      at += kind === 2 ? 4 : 2;
    }
  }
  return look;
}

function ownColor(kind: number | undefined, values: readonly number[]): number | string | undefined {
  const [first = 0, green = 0, blue = 0] = values;
  if (kind === 2) return `rgb(${first}, ${green}, ${blue})`;
  if (kind !== 5) return undefined;
  if (first < 16) return first;
  if (first > 231) return `rgb(${Array(3).fill((first - 232) * 10 + 8)})`;
  const level = (part: number): number => (part === 0 ? 0 : part * 40 + 55);
  const cube = first - 16;
  return `rgb(${level(Math.floor(cube / 36))}, ${level(Math.floor(cube / 6) % 6)}, ${level(cube % 6)})`;
}
