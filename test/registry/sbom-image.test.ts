/** An SBOM of a real image: what npm installed is what it names, and it travels with the image. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SBOM_TYPE } from '../../src/scan/sbom/cyclonedx.ts';
import { Sboms } from '../../src/scan/sbom/sboms.ts';
import { NEVER, writeTree } from '../e2e/bake-fixture.ts';
import { done, openPair, type Pair } from './pair.ts';
import { noRegistry, RegistryProcess } from './registry-process.ts';

let pair: Pair;
beforeEach(async () => {
  pair = await openPair();
});
afterEach(() => pair.close());

async function source(): Promise<string> {
  const folder = await pair.source(0, 0);
  const installed = { a: '1.0.0', '@scope/b': '2.1.0', 'a/node_modules/c': '0.3.0' };
  const files = Object.entries(installed).map(([name, version]) => {
    const own = name.replace(/^.*node_modules\//, '');
    return [`node_modules/${name}/package.json`, JSON.stringify({ name: own, version })] as const;
  });
  await writeTree(folder, {
    ...Object.fromEntries(files),
    'var/lib/dpkg/status':
      'Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nSource: zlib\nVersion: 1:1.2.13.dfsg-1\n',
    'etc/os-release': 'ID=debian\nVERSION_ID="12"\n',
  });
  return folder;
}

const PURLS = [
  'pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12',
  'pkg:npm/%40scope/b@2.1.0',
  'pkg:npm/a@1.0.0',
  'pkg:npm/c@0.3.0',
];

it('names what is in the image, and nothing that a later bake took out', async () => {
  const folder = await source();
  const sboms = new Sboms(pair.here.blobs, path.join(pair.here.state, 'cache/sboms'));
  const first = await pair.here.baked(folder, { version: '1.0.0' });
  const text = await sboms.of(first, NEVER);
  const purls = (sbom: string): string[] =>
    JSON.parse(sbom).components.map((one: { purl: string }) => one.purl);
  expect(purls(text)).toEqual(PURLS);
  const anew = new Sboms(pair.here.blobs, path.join(pair.directory, 'elsewhere'));
  expect(await anew.of(first, NEVER)).toBe(text);

  await writeFile(path.join(folder, 'node_modules/a/package.json'), '{"name":"a","version":"1.0.1"}');
  const second = await pair.here.baked(folder, { version: '1.0.1' });
  expect(purls(await sboms.of(second, NEVER))).toContain('pkg:npm/a@1.0.1');
  expect(purls(await sboms.of(second, NEVER))).not.toContain('pkg:npm/a@1.0.0');
});

const missing = noRegistry();
it.skipIf(missing !== undefined)(`travels with the image ${missing ?? ''}`, async () => {
  const registry = await RegistryProcess.start();
  try {
    const image = await pair.here.baked(await source(), { version: '1.0.0' });
    const sboms = new Sboms(pair.here.blobs, path.join(pair.here.state, 'cache/sboms'));
    const mine = pair.transfers(pair.here, {
      attachmentsOf: async (one, signal) => [{ type: SBOM_TYPE, text: await sboms.of(one, signal) }],
    });
    await done(mine, mine.push(image, `${registry.host}/shop`, 'tester'));
    const get = async (route: string, accept: string) =>
      (await fetch(`http://${registry.host}/v2/shop/${route}`, { headers: { accept } })).json();
    const index = (await get('manifests/1.0.0', 'application/vnd.oci.image.index.v1+json')) as {
      manifests: { digest: string; artifactType?: string }[];
    };
    const attached = index.manifests.find(({ artifactType }) => artifactType === SBOM_TYPE);
    const manifest = (await get(
      `manifests/${attached?.digest}`,
      'application/vnd.oci.image.manifest.v1+json',
    )) as { layers: { digest: string }[] };
    const sbom = (await get(`blobs/${manifest.layers[0]?.digest}`, '*/*')) as {
      components: { purl: string }[];
    };
    expect(sbom.components.map(({ purl }) => purl)).toEqual(PURLS);

    const theirs = pair.transfers(pair.there);
    const pulled = await done(theirs, theirs.pull(`${registry.host}/shop:1.0.0`, { actor: 'other' }));
    const there = new Sboms(pair.there.blobs, path.join(pair.there.state, 'cache/sboms'));
    expect(await there.of(pulled.outcome.image, NEVER)).toBe(await sboms.of(image, NEVER));
  } finally {
    await registry.remove();
  }
});
