/**
 * What request and response heads have in common. Strict on purpose (RFC 9112): whatever two parsers
 * could read in two ways is refused, for that is how requests are smuggled.
 */

/** A head that must not be passed on. `status` is what the client is told. */
export class BadHead extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'BadHead';
    this.status = status;
  }
}

export const HEAD_END = '\r\n\r\n';
const MAX_HEADERS = 128;
const LF = 0x0a;
const CR = 0x0d;

/** Control characters other than tab, CR without LF, LF without CR; beyond ASCII is opaque and allowed. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n/;

const TOKEN = tokenTable();

function tokenTable(): Uint8Array {
  const table = new Uint8Array(256);
  const marks = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (let index = 0; index < marks.length; index++) table[marks.charCodeAt(index)] = 1;
  return table;
}

export function isToken(text: string, from = 0, to = text.length): boolean {
  if (from >= to) return false;
  for (let index = from; index < to; index++) {
    if (TOKEN[text.charCodeAt(index)] !== 1) return false;
  }
  return true;
}

export function refuseForbiddenCharacters(head: string): void {
  if (FORBIDDEN.test(head)) throw new BadHead(400, 'the head holds a control character or a bare line break');
}

/** A client may send a few line breaks before a request (RFC 9112, 2.2); undefined: there is nothing else. */
export function withoutLeadingLineBreaks(bytes: Buffer): Buffer | undefined {
  if (bytes[0] !== CR) return bytes;
  let at = 0;
  while (bytes[at] === CR && bytes[at + 1] === LF && at < 8) at += 2;
  return at === bytes.length ? undefined : bytes.subarray(at);
}

export function hasBareLineFeed(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at - 1] !== CR) return true;
  }
  return false;
}

/** The value of a header line, without the white space around it. */
export function valueIn(head: string, colonAt: number, lineEnd: number): string {
  return head.slice(colonAt + 1, lineEnd).trim();
}

/** Where the name ends. Folded lines and white space before the colon are refused here. */
function colonOf(head: string, lineStart: number, lineEnd: number): number {
  const colonAt = head.indexOf(':', lineStart);
  if (colonAt === -1 || colonAt >= lineEnd || !isToken(head, lineStart, colonAt)) {
    throw new BadHead(400, 'a header line is not "name: value"');
  }
  return colonAt;
}

/**
 * Looks at every header line once and gives those that go on as they are; runs of them are copied as a whole.
 * `keeps` is told the name in lower case, and where the value stands.
 */
export function linesKept(
  head: string,
  start: number,
  keeps: (name: string, colonAt: number, lineEnd: number) => boolean,
): string {
  let kept = '';
  let keptFrom = start;
  let count = 0;
  let lineStart = start;
  while (lineStart < head.length) {
    const lineEnd = head.indexOf('\r\n', lineStart);
    const colonAt = colonOf(head, lineStart, lineEnd);
    if (++count > MAX_HEADERS) throw new BadHead(431, `more than ${MAX_HEADERS} header lines`);
    const next = lineEnd + 2;
    if (!keeps(head.slice(lineStart, colonAt).toLowerCase(), colonAt, lineEnd)) {
      kept += head.slice(keptFrom, lineStart);
      keptFrom = next;
    }
    lineStart = next;
  }
  return kept + head.slice(keptFrom);
}

/** Digits only, and few enough to be exact. */
export function contentLength(value: string): number {
  if (!/^[0-9]{1,15}$/.test(value)) throw new BadHead(400, 'Content-Length is not one plain number');
  return Number(value);
}

export function listedTokens(value: string): string[] {
  return value
    .toLowerCase()
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '');
}

/** Headers that `Connection` may never take away, whoever names them there, and options that name no header. */
const KEPT_WHATEVER_CONNECTION_SAYS = new Set([
  'host',
  'content-length',
  'content-type',
  'authorization',
  'cookie',
  'set-cookie',
  'cache-control',
  'origin',
  'close',
  'keep-alive',
  'upgrade',
]);

/** The lines without those that `Connection` names, which are meant for one hop only. */
export function endToEnd(lines: string, connection: readonly string[]): string {
  const named = connection.filter((name) => !KEPT_WHATEVER_CONNECTION_SAYS.has(name));
  if (named.length === 0) return lines;
  const unwanted = new Set(named);
  return lines
    .split('\r\n')
    .filter((line) => !unwanted.has(line.slice(0, Math.max(0, line.indexOf(':'))).toLowerCase()))
    .join('\r\n');
}
