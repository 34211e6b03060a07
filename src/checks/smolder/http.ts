/** Sends one request, and follows redirects only when asked to. Nothing is retried or decided here. */
import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { HttpRequest } from './request.ts';
import type { Pair } from './test-file.ts';

const MAX_REDIRECTS = 30;

export interface HttpLimits {
  /** Counted after decompression. */
  readonly maxBodyBytes: number;
}

export class AnswerTooLarge extends Error {}
export class TooManyRedirects extends Error {}

export interface HttpResponse {
  readonly status: number;
  /** Lower-case names; repeated headers joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

interface RawAnswer extends HttpResponse {
  readonly setCookies: readonly string[];
}

/** `authorities`: PEM text, when `verify` names a file. Rejects with the socket's own error, or an AbortError. */
export async function sendHttp(
  request: HttpRequest,
  authorities: string | undefined,
  limits: HttpLimits,
  signal: AbortSignal,
): Promise<HttpResponse> {
  let current = request;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const answer = await exchange(current, authorities, limits, signal);
    const next = request.allowRedirects ? redirected(current, answer) : undefined;
    if (next === undefined) return answer;
    current = next;
  }
  throw new TooManyRedirects(`More than ${MAX_REDIRECTS} redirects`);
}

/** As requests does: 301 and 302 turn a POST into a GET, 303 anything but HEAD; credentials stay with their host. */
function redirected(request: HttpRequest, answer: RawAnswer): HttpRequest | undefined {
  const location = answer.headers.get('location');
  if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) return undefined;
  const url = new URL(location, request.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined;
  const sameOrigin = url.origin === request.url.origin;
  const becomesGet =
    (answer.status === 303 && request.method !== 'HEAD') ||
    (answer.status <= 302 && request.method === 'POST');
  const dropped = new Set([
    ...(sameOrigin ? [] : ['host', 'authorization', 'cookie']),
    ...(becomesGet ? ['content-type', 'content-length', 'transfer-encoding'] : []),
  ]);
  const headers = request.headers.filter(([name]) => !dropped.has(name.toLowerCase()));
  const { body, ...rest } = request;
  return {
    ...rest,
    url,
    method: becomesGet ? 'GET' : request.method,
    headers: sameOrigin ? withCookies(headers, answer.setCookies) : headers,
    ...(becomesGet || body === undefined ? {} : { body }),
  };
}

/** Many logins set a cookie and redirect to a page that needs it. */
function withCookies(headers: readonly Pair[], setCookies: readonly string[]): readonly Pair[] {
  if (setCookies.length === 0) return headers;
  const jar = new Map<string, string>();
  const own = headers.find(([name]) => name.toLowerCase() === 'cookie')?.[1] ?? '';
  for (const cookie of [...own.split(';'), ...setCookies.map((line) => line.split(';', 1)[0] ?? '')]) {
    const equals = cookie.indexOf('=');
    if (equals > 0) jar.set(cookie.slice(0, equals).trim(), cookie.slice(equals + 1).trim());
  }
  const value = [...jar].map(([name, text]) => `${name}=${text}`).join('; ');
  return [...headers.filter(([name]) => name.toLowerCase() !== 'cookie'), ['Cookie', value]];
}

function exchange(
  request: HttpRequest,
  authorities: string | undefined,
  limits: HttpLimits,
  signal: AbortSignal,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const { url } = request;
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const isTls = url.protocol === 'https:';
    const client = isTls ? https : http;
    const outgoing = client.request({
      method: request.method,
      host,
      port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
      path: url.pathname + url.search,
      headers: headerRecord(request),
      setHost: !request.headers.some(([name]) => name.toLowerCase() === 'host'),
      agent: false,
      signal,
      // The certificate must fit the URL's host, not an overridden Host header.
      ...(isTls ? { servername: isIP(host) ? '' : host, rejectUnauthorized: request.verify !== false } : {}),
      ...(isTls && authorities !== undefined ? { ca: authorities } : {}),
    });
    outgoing.on('error', reject);
    outgoing.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve({ ...headOf(response), body: '' });
    });
    outgoing.on('response', (response) => {
      readBody(response, request.method, limits)
        .then((body) => resolve({ ...headOf(response), body }))
        .catch((thrown: unknown) => {
          outgoing.destroy();
          reject(thrown);
        });
    });
    outgoing.end(request.body);
  });
}

function headerRecord(request: HttpRequest): http.OutgoingHttpHeaders {
  const record: http.OutgoingHttpHeaders = { Connection: 'close' };
  for (const [name, value] of request.headers) record[name] = value;
  if (request.body !== undefined) record['Content-Length'] = request.body.length;
  return record;
}

function headOf(response: http.IncomingMessage): Omit<RawAnswer, 'body'> {
  const headers = new Map<string, string>();
  for (const [name, values] of Object.entries(response.headersDistinct)) {
    headers.set(name, (values ?? []).join(', '));
  }
  return { status: response.statusCode ?? 0, headers, setCookies: response.headers['set-cookie'] ?? [] };
}

async function readBody(
  response: http.IncomingMessage,
  method: string,
  { maxBodyBytes }: HttpLimits,
): Promise<string> {
  const decoder = method === 'HEAD' ? undefined : decompressor(response.headers['content-encoding']);
  const stream = decoder === undefined ? response : response.pipe(decoder);
  if (decoder !== undefined) response.on('error', (error) => decoder.destroy(error));
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk);
    sizeBytes += bytes.length;
    if (sizeBytes > maxBodyBytes) throw new AnswerTooLarge(`The body is larger than ${maxBodyBytes} bytes`);
    chunks.push(bytes);
  }
  return decodeText(Buffer.concat(chunks), response.headers['content-type']);
}

function decompressor(encoding: string | undefined) {
  switch (encoding?.trim().toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'deflate':
      return createInflate();
    case 'br':
      return createBrotliDecompress();
    default:
      return undefined;
  }
}

function decodeText(bytes: Buffer, contentType: string | undefined): string {
  const charset = /charset\s*=\s*"?([\w.:-]+)/i.exec(contentType ?? '')?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    // A charset that nobody knows: read as UTF-8, as the text to look for is.
    return new TextDecoder().decode(bytes);
  }
}
