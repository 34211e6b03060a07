/** Reads a request's head, and decides in the same pass which of its lines go on to the upstream. */
import type { BodyFraming } from './body.ts';
import {
  BadHead,
  contentLength,
  endToEnd,
  isToken,
  linesKept,
  listedTokens,
  refuseForbiddenCharacters,
  valueIn,
} from './head-text.ts';

type RequestBodyFraming = Exclude<BodyFraming, { kind: 'until-close' }>;

export interface RequestHead {
  readonly method: string;
  /** Origin form, as it goes to the upstream. */
  readonly target: string;
  /** The target without its query; what routes are matched with. */
  readonly path: string;
  /** As the client sent it, port included. */
  readonly host: string;
  readonly minorVersion: 0 | 1;
  readonly body: RequestBodyFraming;
  readonly keepAlive: boolean;
  /** The protocol asked for, as `websocket`; only on a request without a body. */
  readonly upgrade?: string;
  readonly expectsContinue: boolean;
  /** What came in `X-Forwarded-For`, with nothing checked. */
  readonly forwardedFor?: string;
  /** What came in the probe header; never passed on. */
  readonly probe?: string;
  /** End-to-end header lines, each with its CRLF. */
  readonly lines: string;
}

/** What is gathered while the lines are read. */
interface Gathered {
  host: string | undefined;
  length: number | undefined;
  chunked: boolean;
  connection: string[];
  upgrade: string | undefined;
  expects: string | undefined;
  forwardedFor: string | undefined;
  probe: string | undefined;
  lines: string;
}

const NO_BODY: RequestBodyFraming = { kind: 'none' };
const CHUNKED: RequestBodyFraming = { kind: 'chunked' };

/**
 * `head` is latin1 text up to the empty line, which it does not hold; it ends with the last line's CRLF.
 * Throws BadHead.
 */
export function readRequestHead(head: string): RequestHead {
  refuseForbiddenCharacters(head);
  const firstLineEnd = head.indexOf('\r\n');
  const { method, target, minorVersion } = readRequestLine(head.slice(0, firstLineEnd));
  const gathered = gather(head, firstLineEnd + 2);
  const { target: originForm, authority } = toOriginForm(method, target);
  const host = effectiveHost(gathered.host, authority, minorVersion);
  const body = framing(gathered, minorVersion);
  const upgrade = acceptedUpgrade(gathered, body, minorVersion);
  const queryAt = originForm.indexOf('?');
  return {
    method,
    target: originForm,
    path: queryAt === -1 ? originForm : originForm.slice(0, queryAt),
    host,
    minorVersion,
    body,
    keepAlive: keepsAlive(gathered.connection, minorVersion),
    expectsContinue: expectsContinue(gathered.expects, minorVersion),
    lines: endToEnd(gathered.lines, gathered.connection),
    ...(upgrade === undefined ? {} : { upgrade }),
    ...(gathered.forwardedFor === undefined ? {} : { forwardedFor: gathered.forwardedFor }),
    ...(gathered.probe === undefined ? {} : { probe: gathered.probe }),
  };
}

function readRequestLine(line: string): { method: string; target: string; minorVersion: 0 | 1 } {
  const methodEnd = line.indexOf(' ');
  const targetEnd = line.lastIndexOf(' ');
  if (methodEnd <= 0 || targetEnd <= methodEnd + 1) throw new BadHead(400, 'the request line is malformed');
  const method = line.slice(0, methodEnd);
  const target = line.slice(methodEnd + 1, targetEnd);
  const version = line.slice(targetEnd + 1);
  if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') {
    if (/^HTTP\/[0-9]\.[0-9]$/.test(version))
      throw new BadHead(505, 'only HTTP/1.0 and HTTP/1.1 are spoken here');
    throw new BadHead(400, 'the request line is malformed');
  }
  if (!isToken(method)) throw new BadHead(400, 'the method is malformed');
  if (method === 'CONNECT') throw new BadHead(405, 'this is no proxy for CONNECT');
  // Raw spaces and bytes beyond ASCII must be percent-encoded; servers read them in different ways.
  if (!/^[\x21-\x7e]+$/.test(target) || target.includes('#'))
    throw new BadHead(400, 'the target is malformed');
  return { method, target, minorVersion: version === 'HTTP/1.1' ? 1 : 0 };
}

function gather(head: string, start: number): Gathered {
  const gathered: Gathered = {
    host: undefined,
    length: undefined,
    chunked: false,
    connection: [],
    upgrade: undefined,
    expects: undefined,
    forwardedFor: undefined,
    probe: undefined,
    lines: '',
  };
  gathered.lines = linesKept(head, start, (name, colonAt, lineEnd) =>
    keeps(gathered, head, name, colonAt, lineEnd),
  );
  return gathered;
}

/** True when the line goes on to the upstream as it is. */
function keeps(gathered: Gathered, head: string, name: string, colonAt: number, lineEnd: number): boolean {
  switch (name) {
    case 'host':
      if (gathered.host !== undefined) throw new BadHead(400, 'more than one Host');
      gathered.host = valueIn(head, colonAt, lineEnd);
      return false;
    case 'content-length':
      if (gathered.length !== undefined) throw new BadHead(400, 'more than one Content-Length');
      gathered.length = contentLength(valueIn(head, colonAt, lineEnd));
      return false;
    case 'transfer-encoding':
      takeTransferEncoding(gathered, valueIn(head, colonAt, lineEnd));
      return false;
    case 'connection':
      gathered.connection.push(...listedTokens(valueIn(head, colonAt, lineEnd)));
      return false;
    case 'upgrade':
      gathered.upgrade = valueIn(head, colonAt, lineEnd);
      return false;
    case 'expect':
      gathered.expects = valueIn(head, colonAt, lineEnd).toLowerCase();
      return false;
    case 'x-forwarded-for': {
      const value = valueIn(head, colonAt, lineEnd);
      gathered.forwardedFor =
        gathered.forwardedFor === undefined ? value : `${gathered.forwardedFor}, ${value}`;
      return false;
    }
    case 'x-kiln-probe':
      gathered.probe = valueIn(head, colonAt, lineEnd);
      return false;
    case 'x-forwarded-host':
    case 'x-forwarded-proto':
    case 'x-forwarded-port':
    case 'forwarded':
    case 'keep-alive':
    case 'proxy-connection':
    case 'proxy-authorization':
    case 'te':
    case 'http2-settings':
      return false;
    default:
      return true;
  }
}

function takeTransferEncoding(gathered: Gathered, value: string): void {
  if (gathered.chunked) throw new BadHead(400, 'more than one Transfer-Encoding');
  if (value.toLowerCase() !== 'chunked')
    throw new BadHead(501, 'only the transfer coding "chunked" is known here');
  gathered.chunked = true;
}

function framing(gathered: Gathered, minorVersion: 0 | 1): RequestBodyFraming {
  if (gathered.chunked) {
    if (gathered.length !== undefined) throw new BadHead(400, 'both Content-Length and Transfer-Encoding');
    if (minorVersion === 0) throw new BadHead(400, 'Transfer-Encoding in an HTTP/1.0 request');
    return CHUNKED;
  }
  return gathered.length === undefined ? NO_BODY : { kind: 'length', sizeBytes: gathered.length };
}

/** `http://host/path` as sent to a proxy becomes `/path`; its host must be the Host header's. */
function toOriginForm(method: string, target: string): { target: string; authority?: string } {
  if (target.startsWith('/')) return { target };
  if (target === '*' && method === 'OPTIONS') return { target };
  const absolute = /^https?:\/\/([^/?@]+)(\/[^\s]*|\?[^\s]*)?$/i.exec(target);
  const authority = absolute?.[1];
  if (authority === undefined) throw new BadHead(400, 'the target is malformed');
  const rest = absolute?.[2] ?? '/';
  return { target: rest.startsWith('?') ? `/${rest}` : rest, authority };
}

function effectiveHost(host: string | undefined, authority: string | undefined, minorVersion: 0 | 1): string {
  if (host === undefined && minorVersion === 1) throw new BadHead(400, 'no Host');
  const effective = host ?? authority ?? '';
  if (authority !== undefined && authority.toLowerCase() !== effective.toLowerCase()) {
    throw new BadHead(400, 'the target and Host name different hosts');
  }
  if (!/^[\w.:[\]~%-]*$/.test(effective)) throw new BadHead(400, 'Host is malformed');
  return effective;
}

function keepsAlive(connection: readonly string[], minorVersion: 0 | 1): boolean {
  if (connection.length === 0) return minorVersion === 1;
  if (connection.includes('close')) return false;
  return minorVersion === 1 || connection.includes('keep-alive');
}

/** h2c is never passed on: what follows would run past this router's eyes on a kept connection. */
function acceptedUpgrade(
  gathered: Gathered,
  body: RequestBodyFraming,
  minorVersion: 0 | 1,
): string | undefined {
  const { upgrade, connection } = gathered;
  if (upgrade === undefined || minorVersion === 0 || !connection.includes('upgrade')) return undefined;
  const hasBody = body.kind === 'chunked' || (body.kind === 'length' && body.sizeBytes > 0);
  return hasBody || /\bh2c?\b/i.test(upgrade) ? undefined : upgrade;
}

function expectsContinue(expects: string | undefined, minorVersion: 0 | 1): boolean {
  if (expects === undefined || minorVersion === 0) return false;
  if (expects !== '100-continue') throw new BadHead(417, 'only "100-continue" can be expected here');
  return true;
}

/** What the upstream is told of the client and of the listener that took the request. */
export interface ClientFacts {
  readonly address: string;
  readonly listenPort: number;
}

/**
 * The head as the upstream gets it, empty line included. `X-Forwarded-For` is appended to what came, so that
 * only its last entry can be trusted; Host, Proto and Port say what this router saw, whatever came.
 */
export function upstreamRequestText(head: RequestHead, client: ClientFacts): string {
  const forwardedFor =
    head.forwardedFor === undefined ? client.address : `${head.forwardedFor}, ${client.address}`;
  let text = `${head.method} ${head.target} HTTP/1.1\r\nHost: ${head.host}\r\n${head.lines}`;
  if (head.body.kind === 'length') text += `Content-Length: ${head.body.sizeBytes}\r\n`;
  else if (head.body.kind === 'chunked') text += 'Transfer-Encoding: chunked\r\n';
  if (head.expectsContinue) text += 'Expect: 100-continue\r\n';
  text += `X-Forwarded-For: ${forwardedFor}\r\nX-Forwarded-Host: ${head.host}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: ${client.listenPort}\r\n`;
  if (head.upgrade !== undefined) return `${text}Connection: Upgrade\r\nUpgrade: ${head.upgrade}\r\n\r\n`;
  return `${text}\r\n`;
}

/** May be sent again when nothing of an answer came: it changes nothing, and nothing of a body is gone. */
export function isSafeToRepeat(head: RequestHead): boolean {
  const hasBody = head.body.kind === 'chunked' || (head.body.kind === 'length' && head.body.sizeBytes > 0);
  if (hasBody || head.upgrade !== undefined) return false;
  return head.method === 'GET' || head.method === 'HEAD' || head.method === 'OPTIONS';
}
