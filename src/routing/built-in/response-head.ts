/** Reads an upstream's response head, and decides in the same pass which of its lines go on to the client. */
import type { BodyFraming } from './body.ts';
import {
  BadHead,
  contentLength,
  endToEnd,
  linesKept,
  listedTokens,
  refuseForbiddenCharacters,
  valueIn,
} from './head-text.ts';

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly body: BodyFraming;
  /** Whether the upstream lets its connection be used again. */
  readonly keepAlive: boolean;
  /** From its `Keep-Alive: timeout=…`: when it will close the idle connection. */
  readonly keepAliveTimeoutMs?: number;
  readonly upgrade?: string;
  /** End-to-end header lines with those of the framing, each with its CRLF. */
  readonly lines: string;
}

interface Gathered {
  length: number | undefined;
  chunked: boolean;
  connection: string[];
  keepAliveTimeoutMs: number | undefined;
  upgrade: string | undefined;
  lines: string;
}

/** `head` as for a request. Throws BadHead with status 502. */
export function readResponseHead(head: string, requestMethod: string): ResponseHead {
  try {
    return read(head, requestMethod);
  } catch (thrown) {
    if (thrown instanceof BadHead && thrown.status !== 502) throw new BadHead(502, thrown.message);
    throw thrown;
  }
}

function read(head: string, requestMethod: string): ResponseHead {
  refuseForbiddenCharacters(head);
  const firstLineEnd = head.indexOf('\r\n');
  const statusLine = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: (.*))?$/.exec(head.slice(0, firstLineEnd));
  if (statusLine === null) throw new BadHead(502, 'the status line is malformed');
  const status = Number(statusLine[2]);
  const gathered = gather(head, firstLineEnd + 2);
  const isNewer = statusLine[1] === '1';
  return {
    status,
    reason: statusLine[3] ?? '',
    body: framing(gathered, status, requestMethod),
    keepAlive: isNewer ? !gathered.connection.includes('close') : gathered.connection.includes('keep-alive'),
    lines: endToEnd(gathered.lines, gathered.connection),
    ...(gathered.keepAliveTimeoutMs === undefined ? {} : { keepAliveTimeoutMs: gathered.keepAliveTimeoutMs }),
    ...(gathered.upgrade === undefined ? {} : { upgrade: gathered.upgrade }),
  };
}

function gather(head: string, start: number): Gathered {
  const gathered: Gathered = {
    length: undefined,
    chunked: false,
    connection: [],
    keepAliveTimeoutMs: undefined,
    upgrade: undefined,
    lines: '',
  };
  gathered.lines = linesKept(head, start, (name, colonAt, lineEnd) =>
    keeps(gathered, head, name, colonAt, lineEnd),
  );
  return gathered;
}

/** True when the line goes on to the client as it is. */
function keeps(gathered: Gathered, head: string, name: string, colonAt: number, lineEnd: number): boolean {
  switch (name) {
    case 'content-length':
      if (gathered.length !== undefined) throw new BadHead(502, 'more than one Content-Length');
      gathered.length = contentLength(valueIn(head, colonAt, lineEnd));
      return true;
    case 'transfer-encoding':
      if (gathered.chunked || valueIn(head, colonAt, lineEnd).toLowerCase() !== 'chunked') {
        throw new BadHead(502, 'a transfer coding other than one "chunked"');
      }
      gathered.chunked = true;
      return false;
    case 'connection':
      gathered.connection.push(...listedTokens(valueIn(head, colonAt, lineEnd)));
      return false;
    case 'keep-alive': {
      const seconds = /(?:^|[,\s])timeout=([0-9]{1,6})\b/i.exec(valueIn(head, colonAt, lineEnd))?.[1];
      if (seconds !== undefined) gathered.keepAliveTimeoutMs = Number(seconds) * 1000;
      return false;
    }
    case 'upgrade':
      gathered.upgrade = valueIn(head, colonAt, lineEnd);
      return false;
    case 'proxy-connection':
    // Only this router may say who answered.
    case 'x-kiln-instance':
      return false;
    default:
      return true;
  }
}

function framing(gathered: Gathered, status: number, requestMethod: string): BodyFraming {
  if (gathered.chunked && gathered.length !== undefined) {
    throw new BadHead(502, 'both Content-Length and Transfer-Encoding');
  }
  if (requestMethod === 'HEAD' || status === 204 || status === 304 || status < 200) return { kind: 'none' };
  if (gathered.chunked) return { kind: 'chunked' };
  if (gathered.length !== undefined) return { kind: 'length', sizeBytes: gathered.length };
  return { kind: 'until-close' };
}

export interface ClientAnswer {
  readonly minorVersion: 0 | 1;
  /** Whether the client's connection goes on after this answer. */
  readonly keepAlive: boolean;
  /** Set for a probe only. */
  readonly instance?: string;
}

/** The head as the client gets it, empty line included. */
export function clientResponseText(head: ResponseHead, answer: ClientAnswer): string {
  let text = `HTTP/1.1 ${head.status} ${head.reason}\r\n${head.lines}`;
  if (head.body.kind === 'chunked' && answer.minorVersion === 1) text += 'Transfer-Encoding: chunked\r\n';
  if (answer.instance !== undefined) text += `X-Kiln-Instance: ${answer.instance}\r\n`;
  if (head.status === 101) return `${text}Connection: Upgrade\r\nUpgrade: ${head.upgrade ?? ''}\r\n\r\n`;
  if (head.status < 200) return `${text}\r\n`;
  if (!answer.keepAlive) text += 'Connection: close\r\n';
  else if (answer.minorVersion === 0) text += 'Connection: keep-alive\r\n';
  return `${text}\r\n`;
}
