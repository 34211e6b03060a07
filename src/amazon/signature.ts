/** Signature version 4, as docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html lays it down. Pure. */
import { createHash, createHmac } from 'node:crypto';

export interface AmazonCredentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly token?: string;
}

export interface SignedRequest {
  /** POST unless it says otherwise. */
  readonly method?: 'GET' | 'POST' | 'PUT';
  /** Its path and query are encoded as RFC 3986 has it, see `uriEncoded`; each parameter has a value. */
  readonly url: URL;
  /** The text, or the SHA-256 of what is sent, in hex. */
  readonly body: string | { readonly sha256: string };
  readonly region: string;
  readonly service: string;
  readonly atMs: number;
  /** Signed along; what is not a form says so by its content-type. */
  readonly headers?: Readonly<Record<string, string>>;
}

const CONTENT_TYPE = 'application/x-www-form-urlencoded; charset=utf-8';

/** A POST is one of a form, unless its headers say otherwise. */
export function signedHeaders(
  { method = 'POST', url, body, region, service, atMs, headers }: SignedRequest,
  { accessKey, secretKey, token }: AmazonCredentials,
): Record<string, string> {
  const time = new Date(atMs).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = time.slice(0, 8);
  const signed: Record<string, string> = {
    ...(method === 'POST' ? { 'content-type': CONTENT_TYPE } : {}),
    ...headers,
    host: url.host,
    'x-amz-date': time,
    ...(token === undefined ? {} : { 'x-amz-security-token': token }),
  };
  const names = Object.keys(signed).sort();
  const canonical = [
    method,
    url.pathname,
    url.search.slice(1).split('&').sort().join('&'),
    ...names.map((name) => `${name}:${signed[name] ?? ''}`),
    '',
    names.join(';'),
    typeof body === 'string' ? sha256(body) : body.sha256,
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secretKey}`);
  const signature = hmac(key, ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')).toString(
    'hex',
  );
  const { host: _, ...sent } = signed;
  return {
    ...sent,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  };
}

/** As a signature wants it: everything but letters, digits and `-._~`. */
export function uriEncoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
