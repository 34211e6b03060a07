/** Signatures of webhooks, over the raw body, compared in constant time. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Delivery } from './provider.ts';

const HEX_SHA256 = /^[0-9a-f]{64}$/i;
/** As Standard Webhooks and Slack advise: older than this it may be a replay. */
const TOLERANCE_S = 300;
/** How many signatures of one delivery are looked at: a sender that rotates its key sends two. */
const MOST_SIGNATURES = 5;

/** Compared with where there is no secret: nobody can know it, as it is drawn at random. */
export const DECOY_SECRET = randomBytes(32).toString('hex');

/** Seconds since 1970 in decimal, not further from now than what is signed may be. */
export function isFresh(timestamp: string, atMs: number): boolean {
  const ageS = Math.abs(atMs / 1_000 - Number(/^\d{1,12}$/.test(timestamp) ? timestamp : Number.NaN));
  return ageS <= TOLERANCE_S;
}

/** The hex HMAC-SHA256 of the body, with `prefix` before it; what is not one is compared as well, and differs. */
export function isHexHmac(
  given: string | undefined,
  prefix: string,
  body: Uint8Array,
  secret: string,
): boolean {
  const expected = createHmac('sha256', secret).update(body).digest();
  const hex = given?.startsWith(prefix) ? given.slice(prefix.length) : '';
  const claimed = HEX_SHA256.test(hex) ? Buffer.from(hex, 'hex') : Buffer.alloc(expected.length);
  return timingSafeEqual(claimed, expected) && HEX_SHA256.test(hex);
}

/** Equal texts; how long it takes says nothing of how far they are equal, nor how long the secret is. */
export function isSameSecret(given: string | undefined, secret: string): boolean {
  const digestOf = (text: string): Buffer => createHmac('sha256', 'kiln').update(text).digest();
  return timingSafeEqual(digestOf(given ?? ''), digestOf(secret)) && given !== undefined && secret !== '';
}

/**
 * Standard Webhooks (https://www.standardwebhooks.com), as GitLab signs: `webhook-signature` holds `v1,BASE64`, more
 * than one with spaces between, over `ID.TIMESTAMP.BODY` with the key in `whsec_BASE64`.
 */
export function isStandardSigned({ header, body, atMs }: Delivery, secret: string): boolean {
  const [id = '', timestamp = ''] = [header('webhook-id'), header('webhook-timestamp')];
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
  const given = (header('webhook-signature') ?? '').split(' ').slice(0, MOST_SIGNATURES);
  const isOne = given.map((text) => isVersionOne(text, expected)).includes(true);
  return isOne && id !== '' && isFresh(timestamp, atMs);
}

function isVersionOne(text: string, expected: Buffer): boolean {
  const claimed = Buffer.from(text.startsWith('v1,') ? text.slice(3) : '', 'base64');
  const isWhole = claimed.length === expected.length;
  return timingSafeEqual(isWhole ? claimed : Buffer.alloc(expected.length), expected) && isWhole;
}
