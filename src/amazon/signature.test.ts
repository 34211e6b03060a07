import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { signedHeaders, uriEncoded } from './signature.ts';

const KEYS = {
  accessKey: 'AKIAIOSFODNN7EXAMPLE',
  secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const AT_MS = Date.UTC(2013, 4, 24);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** Examples of docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. */
it.each([
  [
    'a list, by its query',
    'GET',
    '?prefix=J&max-keys=2',
    '',
    {},
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  ],
  [
    'an object, by its encoded key',
    'PUT',
    uriEncoded('test$file.text'),
    'Welcome to Amazon S3.',
    { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  ],
] as const)('signs %s as Amazon does', (_, method, rest, body, headers, signature) => {
  const request = {
    method,
    url: new URL(`https://examplebucket.s3.amazonaws.com/${rest}`),
    body: { sha256: sha256(body) },
    region: 'us-east-1',
    service: 's3',
    atMs: AT_MS,
    headers: { ...headers, 'x-amz-content-sha256': sha256(body) },
  };
  expect(signedHeaders(request, KEYS).authorization?.endsWith(`Signature=${signature}`)).toBe(true);
});
