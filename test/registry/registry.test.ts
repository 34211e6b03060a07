/** Push and pull with a real registry: what is moved, what is not, and who is let in. */

import { execFileSync } from 'node:child_process';
import { createPrivateKey, createSign, randomUUID, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readManifest } from '../../src/bakery/oci-layout.ts';
import { credentialsFromFile } from '../../src/registry/credentials.ts';
import { digestOf, NEVER } from '../e2e/bake-fixture.ts';
import { freePort } from '../free-port.ts';
import { done, ended, openPair, type Pair } from './pair.ts';
import { noRegistry, RegistryProcess } from './registry-process.ts';

const missing = noRegistry();
const MIB = 1024 * 1024;

describe.skipIf(missing !== undefined)(`a registry ${missing ?? ''}`, () => {
  let pair: Pair;
  let registry: RegistryProcess;
  beforeEach(async () => {
    pair = await openPair();
    registry = await RegistryProcess.start();
  });
  afterEach(async () => {
    await pair.close();
    await registry.remove();
  });

  it('takes an image once, and gives it to another Kiln with its tags, lineage and definition', async () => {
    const { here, there } = pair;
    const source = await pair.source(3, MIB);
    const image = await here.baked(source, { version: '1.0.0+7' });
    const mine = pair.transfers(here);
    const to = `${registry.host}/team/shop`;

    const pushed = await done(mine, mine.push(image, to, 'tester'));
    expect(pushed.outcome.kind).toBe('pushed');
    expect(pushed.progress.doneBlobs).toBe(pushed.progress.blobs);
    expect(await registry.status('team/shop/manifests/1.0.0_7')).toBe(200);
    const again = await done(mine, mine.push(image, to, 'tester'));
    expect(again.outcome).toMatchObject({ kind: 'unchanged', reference: pushed.outcome.reference });
    expect(again.progress).toMatchObject({ movedBlobs: 0, movedBytes: 0 });

    const index = (await (
      await fetch(`http://${registry.host}/v2/team/shop/manifests/1.0.0_7`, {
        headers: { accept: 'application/vnd.oci.image.index.v1+json' },
      })
    ).json()) as { annotations: Record<string, string>; manifests: { digest: string }[] };
    expect(index.annotations).toMatchObject({
      'org.opencontainers.image.title': 'shop',
      'org.opencontainers.image.version': '1.0.0+7',
      'kiln.tag.built-by': 'tester',
    });
    expect(index.manifests[0]?.digest).toBe(digestOf(image));

    const theirs = pair.transfers(there);
    const pulled = await done(theirs, theirs.pull(pushed.outcome.reference, { actor: 'other' }));
    expect(pulled.outcome.kind).toBe('pulled');
    const taken = await there.store.images.byVersion(image.component, '1.0.0+7');
    expect(taken).toMatchObject({
      id: image.id,
      inputKey: image.inputKey,
      definition: image.definition,
      artifacts: image.artifacts,
      createdAtMs: image.createdAtMs,
      checks: [],
      tags: { ...image.tags, 'pulled-from': pushed.outcome.reference },
    });
    for (const layer of (await readManifest(there.blobs, digestOf(image))).layers) {
      await there.blobs.verify(layer.digest, NEVER);
    }
    const unpacked = await there.unpack(digestOf(image));
    expect(await readFile(path.join(unpacked, 'data1/random.bin'))).toEqual(
      await readFile(path.join(source, 'data1/random.bin')),
    );

    const byArtifact = await done(theirs, theirs.pull(`${to}@${digestOf(image)}`, { actor: 'other' }));
    expect(byArtifact.outcome).toMatchObject({ kind: 'unchanged', reference: pushed.outcome.reference });

    const revision = await there.store.events.revision();
    const twice = await done(theirs, theirs.pull(`${to}:1.0.0_7`, { actor: 'other' }));
    expect(twice.outcome.kind).toBe('unchanged');
    expect(twice.progress.movedBytes).toBe(0);
    expect(await there.store.events.revision()).toBe(revision);
  });

  it('is sent only the layers that changed, and mounts those that another repository has', async () => {
    const { here } = pair;
    const source = await pair.source(3, 20 * MIB);
    const mine = pair.transfers(here);
    const first = await here.baked(source, { version: '1.0.0' });
    await done(mine, mine.push(first, `${registry.host}/shop`, 'tester'));
    await writeFile(path.join(source, 'server.js'), 'console.log(2)\n');
    const second = await here.baked(source, { version: '1.0.1' });
    const changed = await done(mine, mine.push(second, `${registry.host}/shop`, 'tester'));
    expect(changed.progress.bytes).toBeGreaterThan(60 * MIB);
    expect(changed.progress.movedBytes).toBeLessThan(100_000);
    const restarted = pair.transfers(here, { places: await pair.places(here) });
    const elsewhere = await done(
      restarted,
      restarted.push(second, `${registry.host}/other/shop:try`, 'tester'),
    );
    expect(elsewhere.progress).toMatchObject({
      movedBytes: 0,
      mountedBlobs: elsewhere.progress.blobs,
    });
    expect(await registry.status('other/shop/manifests/try')).toBe(200);
  });

  it('says what is not there, what is no image of Kiln’s, and what is another image', async () => {
    const { here, there } = pair;
    const [mine, theirs] = [pair.transfers(here), pair.transfers(there)];
    const failure = async (from: string) =>
      (await ended(theirs, theirs.pull(`${registry.host}/${from}`, { actor: 'other' }))).failure;
    expect(await failure('nothing:here')).toMatchObject({ code: 'not-found' });

    const image = await here.baked(await pair.source(1, 1000), { version: '1.0.0' });
    await done(mine, mine.push(image, `${registry.host}/shop`, 'tester'));
    const record = await recordDigest(`${registry.host}`, 'shop', '1.0.0');
    expect(await failure(`shop@${record}`)).toMatchObject({
      code: 'registry.refused',
      message: /not an image that Kiln has pushed/,
    });

    const other = await there.baked(await pair.source(1, 1000), { version: '1.0.0' });
    expect(await failure('shop:1.0.0')).toMatchObject({
      code: 'input.conflict',
      details: { image: other.id },
    });
    expect(() => mine.push(image, 'shop:1.0.0', 'tester')).toThrow(/names no registry/);
    expect(() => theirs.pull(`${registry.host}/Shop`, { actor: 'other' })).toThrow(/not a name/);
  });
});

describe.skipIf(missing !== undefined)(`a registry that asks who is there ${missing ?? ''}`, () => {
  let pair: Pair;
  beforeEach(async () => {
    pair = await openPair();
  });
  afterEach(() => pair.close());

  const LOGIN = { user: 'kiln', password: 'opensesame' };

  async function logins(host: string): Promise<string> {
    const file = path.join(pair.directory, 'config.json');
    const auth = Buffer.from(`${LOGIN.user}:${LOGIN.password}`).toString('base64');
    await writeFile(file, JSON.stringify({ auths: { [host]: { auth } } }), { mode: 0o600 });
    return file;
  }

  it('by name and password: refuses without, takes with', async () => {
    const htpasswd = path.join(pair.directory, 'htpasswd');
    await writeFile(htpasswd, 'kiln:$2y$05$21FQE2aHVm9iae/vvm8Ih.8jJ7mu4/1A6xnbgKcYNZ.fB5VHwAWv6\n');
    const registry = await RegistryProcess.start({ htpasswd: { realm: 'test', path: htpasswd } });
    try {
      const image = await pair.here.baked(await pair.source(1, 1000), { version: '1.0.0' });
      const stranger = pair.transfers(pair.here);
      const refused = await ended(stranger, stranger.push(image, `${registry.host}/shop`, 'tester'));
      expect(refused.failure).toMatchObject({ code: 'registry.refused', next: /docker login/ });
      const credentials = credentialsFromFile(await logins(registry.host));
      const known = pair.transfers(pair.here, { credentials });
      await done(known, known.push(image, `${registry.host}/shop`, 'tester'));
      const theirs = pair.transfers(pair.there, { credentials });
      await done(theirs, theirs.pull(`${registry.host}/shop:1.0.0`, { actor: 'other' }));
    } finally {
      await registry.remove();
    }
  });

  it('by a token of another server: the login goes there, and the token to the registry', async () => {
    const { certificate, key, close, realm, asked } = await tokenServer(pair.directory);
    const registry = await RegistryProcess.start({
      token: { realm, service: 'test-registry', issuer: 'test-issuer', rootcertbundle: certificate },
    });
    try {
      expect(key.length).toBeGreaterThan(0);
      const image = await pair.here.baked(await pair.source(1, 1000), { version: '1.0.0' });
      const credentials = credentialsFromFile(await logins(registry.host));
      const known = pair.transfers(pair.here, { credentials });
      await done(known, known.push(image, `${registry.host}/shop`, 'tester'));
      expect(asked).toContainEqual({ login: 'kiln:opensesame', scope: 'repository:shop:pull,push' });
      const stranger = pair.transfers(pair.there);
      const refused = await ended(stranger, stranger.pull(`${registry.host}/shop:1.0.0`, { actor: 'other' }));
      expect(refused.failure).toMatchObject({ code: 'registry.refused' });
    } finally {
      await registry.remove();
      await close();
    }
  });
});

/** Gives tokens as Docker's token authentication describes them, to the one login. */
async function tokenServer(directory: string) {
  const [certificate, key] = [path.join(directory, 'token.crt'), path.join(directory, 'token.key')];
  const subject = ['-subj', '/CN=test', '-days', '2', '-nodes', '-newkey', 'rsa:2048'];
  execFileSync('openssl', ['req', '-x509', ...subject, '-keyout', key, '-out', certificate], {
    stdio: 'ignore',
  });
  const der = new X509Certificate(await readFile(certificate)).raw.toString('base64');
  const privateKey = createPrivateKey(await readFile(key));
  const asked: { login: string; scope: string | null }[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const scope = url.searchParams.get('scope');
    const login = Buffer.from((request.headers.authorization ?? '').slice(6), 'base64').toString();
    asked.push({ login, scope });
    if (login !== 'kiln:opensesame') {
      response.writeHead(401).end('{}');
      return;
    }
    const [, name = '', actions = ''] = (scope ?? '').split(':');
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: 'test-issuer',
      sub: 'kiln',
      aud: 'test-registry',
      exp: now + 300,
      nbf: now - 10,
      iat: now,
      jti: randomUUID(),
      access: [{ type: 'repository', name, actions: actions.split(',') }],
    };
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ typ: 'JWT', alg: 'RS256', x5c: [der] })}.${part(claims)}`;
    const signature = createSign('RSA-SHA256').update(signed).sign(privateKey, 'base64url');
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token: `${signed}.${signature}` }));
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    certificate,
    key,
    asked,
    realm: `http://127.0.0.1:${port}/token`,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

/** Of the manifest that holds the image's record, which is no image. */
async function recordDigest(host: string, name: string, tag: string): Promise<string> {
  const accept = 'application/vnd.oci.image.index.v1+json';
  const answer = await fetch(`http://${host}/v2/${name}/manifests/${tag}`, { headers: { accept } });
  const { manifests } = (await answer.json()) as { manifests: { digest: string; artifactType?: string }[] };
  return manifests.find(({ artifactType }) => artifactType !== undefined)?.digest ?? '';
}
