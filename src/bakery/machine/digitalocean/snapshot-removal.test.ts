/** Against a stand-in that answers as the published API does. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { componentName } from '../../../domain/ids.ts';
import type { Artifact, ProviderArtifact } from '../../../domain/image.ts';
import { snapshotRemoval } from './snapshot-removal.ts';

const TOKEN = 'dop_v1_of-a-test';
const SNAPSHOT: ProviderArtifact = {
  kind: 'machine',
  provider: 'digitalocean',
  arch: 'amd64',
  region: 'nyc3',
  reference: '6372321',
  sizeBytes: 0,
};
const NEVER = new AbortController().signal;

let server: Server;
let endpoint: string;
const there = new Set<string>();
const asked: string[] = [];
let busy = false;

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const id = request.url?.split('/').at(-1) ?? '';
    const status =
      request.headers.authorization !== `Bearer ${TOKEN}` ? 401 : busy ? 429 : there.delete(id) ? 204 : 404;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(status === 204 ? undefined : JSON.stringify({ id: 'refused', message: 'no' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

function removed(token: string | undefined, artifact: Artifact = SNAPSHOT): Promise<void> {
  return snapshotRemoval({ token, endpoint, fetch }).remove(artifact, componentName('shop'), NEVER);
}

test('a snapshot is deleted once, and asking again is no failure', async () => {
  there.add('6372321');
  await removed(TOKEN);
  expect(there.size).toBe(0);
  expect(asked).toEqual(['DELETE /v2/snapshots/6372321']);
  await removed(TOKEN);
});

test('what cannot be deleted now says why, and never with the token', async () => {
  there.add('6372321');
  busy = true;
  await expect(removed(TOKEN)).rejects.toMatchObject({ code: 'target.rejected', retryable: true });
  busy = false;
  await expect(removed('wrong')).rejects.toMatchObject({
    message: expect.not.stringContaining('wrong'),
    next: expect.stringContaining('token'),
  });
  await expect(removed(undefined)).rejects.toMatchObject({
    next: expect.stringContaining('DIGITALOCEAN_TOKEN'),
  });
  expect(there.size).toBe(1);
});

test('nothing but a snapshot of its own is asked for', async () => {
  const { concerns } = snapshotRemoval({ token: TOKEN, endpoint, fetch });
  expect(concerns(SNAPSHOT)).toBe(true);
  expect(concerns({ ...SNAPSHOT, provider: 'amazon' })).toBe(false);
  const before = asked.length;
  await expect(removed(TOKEN, { ...SNAPSHOT, reference: '../droplets/1' })).rejects.toMatchObject({
    code: 'input.invalid',
  });
  expect(asked.length).toBe(before);
});
