/**
 * The few calls of S3 that Kiln makes (docs.aws.amazon.com/AmazonS3/latest/API): GetObject, PutObject and ListObjectsV2,
 * of Amazon's or of what speaks like it, such as MinIO.
 */
import { createHash } from 'node:crypto';
import { KilnError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports/clock.ts';
import { type AmazonAccess, amazonCredentials } from './credentials.ts';
import { signedHeaders, uriEncoded } from './signature.ts';

export interface S3Parts {
  readonly access: AmazonAccess;
  readonly region: string;
  /** Where it answers, when not where Amazon's does. */
  readonly endpoint: string | undefined;
  readonly clock: Clock;
  readonly fetch: typeof fetch;
}

export interface S3Object {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
  readonly etag: string;
  readonly storageClass: string;
}

/** Which object is meant, where its name does not say it. */
export interface S3Which {
  readonly versionId?: string | undefined;
  /** The account that the bucket has to be of, or S3 refuses. */
  readonly bucketOwner?: string | undefined;
}

interface Call {
  readonly method: 'GET' | 'PUT';
  readonly bucket: string;
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Blob;
  readonly sha256?: string;
  readonly bucketOwner?: string | undefined;
}

/** Of a whole transfer: 2 GiB at 4 MB/s. */
const TRANSFER_LIMIT_MS = 10 * 60_000;
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 200;
const NOTHING_SHA256 = createHash('sha256').digest('hex');
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const LONGEST_KEY_BYTES = 1_024;
/** Of an answer that is no object. */
const LARGEST_XML_BYTES = 8 * 1_024 * 1_024;

/** All calls fail with `not-found`, `target.rejected` (Amazon's own code in `details.amazon`) or `target.unavailable`. */
export class S3 {
  readonly #parts: S3Parts;

  constructor(parts: S3Parts) {
    this.#parts = parts;
  }

  /** The object's bytes, as they come. More than the limit fails with `input.too-large`. */
  async *get(
    bucket: string,
    key: string,
    limitBytes: number,
    signal: AbortSignal,
    { versionId, bucketOwner }: S3Which = {},
  ): AsyncGenerator<Uint8Array> {
    const limited = within(signal);
    const query = versionId === undefined ? {} : { versionId };
    const answer = await this.#call({ method: 'GET', bucket, key, query, bucketOwner }, limited);
    let sizeBytes = 0;
    try {
      for await (const piece of answer.body ?? []) {
        sizeBytes += piece.byteLength;
        if (sizeBytes > limitBytes) {
          throw new KilnError('input.too-large', `s3://${bucket}/${key} is larger than ${limitBytes} bytes.`);
        }
        yield piece;
      }
    } catch (thrown) {
      throw thrown instanceof KilnError ? thrown : this.#unavailable(thrown, signal);
    }
  }

  /** @param sha256 of the body, in hex: S3 refuses other bytes. */
  async put(bucket: string, key: string, body: Blob, sha256: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#call({ method: 'PUT', bucket, key, body, sha256 }, within(signal));
    await answer.body?.cancel();
  }

  /** In the order of their keys. */
  async *list(
    bucket: string,
    prefix: string,
    signal: AbortSignal,
    { bucketOwner }: Pick<S3Which, 'bucketOwner'> = {},
  ): AsyncGenerator<S3Object> {
    let token: string | undefined;
    do {
      const more = token === undefined ? {} : { 'continuation-token': token };
      const query = { 'list-type': '2', prefix, ...more };
      const limited = within(signal);
      const xml = await textOf(await this.#call({ method: 'GET', bucket, query, bucketOwner }, limited));
      for (const [, found = ''] of xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
        yield {
          key: element(found, 'Key') ?? '',
          sizeBytes: Number(element(found, 'Size')),
          modifiedAtMs: Date.parse(element(found, 'LastModified') ?? ''),
          etag: element(found, 'ETag') ?? '',
          storageClass: element(found, 'StorageClass') ?? 'STANDARD',
        };
      }
      token = element(xml, 'IsTruncated') === 'true' ? element(xml, 'NextContinuationToken') : undefined;
    } while (token !== undefined);
  }

  async #call(call: Call, signal: AbortSignal): Promise<Response> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once(call, signal);
      } catch (thrown) {
        // Each of the calls may be made twice: nothing but the same bytes is ever put under a key at once.
        const mayWork = thrown instanceof KilnError && thrown.retryable;
        if (!mayWork || attempt === ATTEMPTS || signal.aborted) throw thrown;
        await this.#parts.clock.sleep(FIRST_PAUSE_MS * 2 ** attempt, signal);
      }
    }
  }

  async #once(call: Call, signal: AbortSignal): Promise<Response> {
    const { access, region, clock, fetch } = this.#parts;
    const { method, bucket, key, body, bucketOwner } = call;
    const url = this.#url(call);
    const sha256 = call.sha256 ?? NOTHING_SHA256;
    const request = { method, url, body: { sha256 }, region, service: 's3', atMs: clock.now() };
    const headers = signedHeaders(
      {
        ...request,
        headers: {
          'x-amz-content-sha256': sha256,
          ...(bucketOwner !== undefined && { 'x-amz-expected-bucket-owner': bucketOwner }),
        },
      },
      await amazonCredentials(access),
    );
    let answer: Response;
    try {
      answer = await fetch(url, { method, headers, signal, redirect: 'manual', ...(body && { body }) });
    } catch (thrown) {
      throw this.#unavailable(thrown, signal);
    }
    if (answer.ok) return answer;
    const xml = await textOf(answer);
    const code = element(xml, 'Code') ?? `HTTP ${answer.status}`;
    const name = `s3://${bucket}/${key ?? ''}`;
    if (code === 'NoSuchKey' || code === 'NoSuchVersion')
      throw new KilnError('not-found', `There is no object ${name}.`);
    const why = element(xml, 'Message') ?? 'it does not say why';
    throw new KilnError('target.rejected', `S3 refused ${method} of ${name}: ${code}, ${why}`, {
      retryable: answer.status >= 500 || answer.status === 429,
      details: { amazon: code, status: answer.status },
    });
  }

  #url({ bucket, key = '', query = {} }: Call): URL {
    if (!BUCKET.test(bucket)) throw new KilnError('input.invalid', `"${bucket}" is no name of a bucket.`);
    const parts = key.split('/');
    // A URL would take them for steps; S3 would not.
    if (Buffer.byteLength(key) > LONGEST_KEY_BYTES || parts.some((part) => part === '.' || part === '..'))
      throw new KilnError('input.invalid', `"${key}" cannot be the key of an object.`);
    const { endpoint, region } = this.#parts;
    const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
    const path = parts.map(uriEncoded).join('/');
    // A name with dots is not covered by Amazon's certificate.
    const base =
      endpoint === undefined && !bucket.includes('.')
        ? new URL(`https://${bucket}.s3.${region}.${suffix}/${path}`)
        : new URL(
            `${(endpoint ?? `https://s3.${region}.${suffix}`).replace(/\/$/, '')}/${bucket}${key === '' ? '' : `/${path}`}`,
          );
    const pairs = Object.entries(query).map(([name, value]) => `${uriEncoded(name)}=${uriEncoded(value)}`);
    base.search = pairs.join('&');
    return base;
  }

  #unavailable(cause: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    const where = this.#parts.endpoint ?? `the region ${this.#parts.region}`;
    return new KilnError('target.unavailable', `S3 does not answer at ${where}.`, {
      cause,
      next: 'See whether this machine reaches it.',
      retryable: true,
    });
  }
}

function within(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(TRANSFER_LIMIT_MS)]);
}

async function textOf(answer: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of answer.body ?? []) {
    sizeBytes += piece.byteLength;
    if (sizeBytes > LARGEST_XML_BYTES)
      throw new KilnError('input.too-large', 'An answer of S3 is too large.');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** Text of the first element of this name. */
function element(xml: string, name: string): string | undefined {
  const [, text] = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml) ?? [];
  return text?.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));/gi, (whole, hex, decimal, named) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return ENTITIES[named] ?? whole;
  });
}
