/** A test's inputs → the HTTP request that is sent. Pure. */
import { createHash } from 'node:crypto';
import { type CheckAddress, destinationOf, originOf } from './address.ts';
import type { Pair, RequestBody, SmokeTest, Verify } from './test-file.ts';

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  /** As sent; a Host header among them overrides that of the URL. */
  readonly headers: readonly Pair[];
  readonly body?: Buffer;
  readonly timeoutMs: number;
  readonly allowRedirects: boolean;
  readonly verify: Verify;
}

const USER_AGENT = 'kiln-check';

export function buildRequest(test: SmokeTest, address: CheckAddress): HttpRequest {
  const { inputs } = test;
  const destination = destinationOf(test, address);
  const url = new URL(originOf(destination) + test.uri);
  for (const [name, value] of inputs.params) url.searchParams.append(name, value);
  const body = encodeBody(inputs.body);
  const headers = new HeaderList(routedHeaders(inputs.headers, address));
  if (destination.tlsEndedBefore) headers.addMissing('X-Forwarded-Proto', 'https');
  if (inputs.auth !== undefined) {
    const { username, password } = inputs.auth;
    headers.addMissing('Authorization', `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`);
  }
  if (inputs.cookies.length > 0) {
    headers.addMissing('Cookie', inputs.cookies.map(([name, value]) => `${name}=${value}`).join('; '));
  }
  if (body.type !== undefined) headers.addMissing('Content-Type', body.type);
  headers.addMissing('User-Agent', USER_AGENT);
  headers.addMissing('Accept', '*/*');
  headers.addMissing('Accept-Encoding', 'gzip, deflate');
  return {
    method: test.method,
    url,
    headers: headers.pairs,
    ...(body.bytes === undefined ? {} : { body: body.bytes }),
    timeoutMs: inputs.timeoutMs,
    allowRedirects: inputs.allowRedirects,
    verify: inputs.verify,
  };
}

class HeaderList {
  readonly pairs: Pair[];

  constructor(pairs: readonly Pair[]) {
    this.pairs = [...pairs];
  }

  addMissing(name: string, value: string): void {
    const lower = name.toLowerCase();
    if (!this.pairs.some(([present]) => present.toLowerCase() === lower)) this.pairs.push([name, value]);
  }
}

/** The headers that the file names; through a router, with a Host that the router has a route for. */
export function routedHeaders(headers: readonly Pair[], address: CheckAddress): readonly Pair[] {
  const routeHosts = address.kind === 'endpoint' ? (address.routeHosts ?? []) : [];
  const [first] = routeHosts;
  if (first === undefined) return headers;
  const own = headers.find(([name]) => name.toLowerCase() === 'host')?.[1].toLowerCase();
  if (own !== undefined && routeHosts.includes(own)) return headers;
  return [['Host', first], ...headers.filter(([name]) => name.toLowerCase() !== 'host')];
}

interface EncodedBody {
  readonly bytes?: Buffer;
  readonly type?: string;
}

function encodeBody(body: RequestBody): EncodedBody {
  switch (body.kind) {
    case 'none':
      return {};
    case 'text':
      return { bytes: Buffer.from(body.text) };
    case 'form':
      return {
        bytes: Buffer.from(formText(body.fields)),
        type: 'application/x-www-form-urlencoded',
      };
    case 'json':
      return { bytes: Buffer.from(JSON.stringify(body.value)), type: 'application/json' };
    case 'multipart':
      return encodeMultipart(body);
  }
}

export function formText(fields: readonly Pair[]): string {
  const form = new URLSearchParams();
  for (const [name, value] of fields) form.append(name, value);
  return form.toString();
}

/** The boundary is a digest of the parts, so that equal tests send equal bytes and no part can hold it. */
function encodeMultipart(body: Extract<RequestBody, { kind: 'multipart' }>): EncodedBody {
  const boundary = `kiln-${createHash('sha256').update(JSON.stringify(body)).digest('hex').slice(0, 32)}`;
  const quoted = (text: string) => text.replace(/["\r\n]/g, (character) => encodeURIComponent(character));
  const parts = [
    ...body.fields.map(
      ([name, value]) => `Content-Disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}`,
    ),
    ...body.files.map(
      (file) =>
        `Content-Disposition: form-data; name="${quoted(file.field)}"; filename="${quoted(file.filename)}"\r\n` +
        `Content-Type: ${quoted(file.type ?? 'application/octet-stream')}\r\n\r\n${file.content}`,
    ),
  ];
  const text = `${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')}--${boundary}--\r\n`;
  return { bytes: Buffer.from(text), type: `multipart/form-data; boundary=${boundary}` };
}
