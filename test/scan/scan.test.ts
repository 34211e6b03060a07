/** Scans with real commands: advisories from a folder, scanners of each kind. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, readdir, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Descriptor, writeContainerManifest } from '../../src/bakery/oci-layout.ts';
import { unpackBundle } from '../../src/bakery/unpack.ts';
import { asTested, type Image, latestChecks } from '../../src/domain/image.ts';
import { Sboms } from '../../src/scan/sbom/sboms.ts';
import type { ScannerSpec } from '../../src/scan/scanners/scanner.ts';
import { type ScanRequest, type ScanRun, Scans, type ScansParts } from '../../src/scan/scans.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import {
  BWRAP,
  type Kitchen,
  kilnYaml,
  NEVER,
  openKitchen,
  SEARCH_PATH,
  scratch,
  writeTree,
} from '../e2e/bake-fixture.ts';
import { writeSmallRoot } from './small-root.ts';

let directory: string;
let remove: () => Promise<void>;
let kitchen: Kitchen;
const opened: Scans[] = [];
beforeEach(async () => {
  ({ directory, remove } = await scratch());
  kitchen = await openKitchen(path.join(directory, 'state'));
});
afterEach(async () => {
  for (const scans of opened.splice(0)) await scans.close();
  await kitchen.close();
  await remove();
});

function scans(more: Partial<ScansParts> = {}): Scans {
  const made = new Scans({
    store: kitchen.store,
    sboms: new Sboms(kitchen.blobs, path.join(kitchen.state, 'cache/sboms')),
    clock: systemClock,
    host: {
      temporary: path.join(kitchen.state, 'tmp'),
      searchPath: SEARCH_PATH,
      bwrap: BWRAP,
      isRoot: process.getuid?.() === 0,
      newId: randomUUID,
      async unpack(digest, folder, signal) {
        await rmdir(folder);
        await unpackBundle(kitchen, digest, folder, signal);
      },
    },
    scanners: [],
    advisories: undefined,
    worst: 'high',
    newId: randomUUID,
    ...more,
  });
  opened.push(made);
  return made;
}

async function done(one: Scans, request: Omit<ScanRequest, 'actor'>): Promise<ScanRun> {
  let run = one.start({ ...request, actor: 'tester' });
  while (run.state === 'running') run = await one.wait(run.id, 60_000, NEVER);
  return run;
}

async function baked(version: string, packages: Readonly<Record<string, string>>): Promise<Image> {
  const folder = path.join(directory, `source-${version}`);
  const manifests = Object.entries(packages).map(
    ([name, of]) => [`node_modules/${name}/package.json`, JSON.stringify({ name, version: of })] as const,
  );
  await writeTree(folder, { 'kiln.yaml': kilnYaml(), 'server.js': '1\n', ...Object.fromEntries(manifests) });
  return kitchen.baked(folder, { version });
}

async function advisories(severity: string, ...more: object[]): Promise<string> {
  const folder = path.join(directory, `osv-${randomUUID()}`);
  const bad = {
    id: 'GHSA-bad',
    aliases: ['CVE-2024-1'],
    modified: '2024-01-01T00:00:00Z',
    summary: 'bad lets anybody in',
    database_specific: { severity },
    affected: [
      {
        package: { ecosystem: 'npm', name: 'bad' },
        ranges: [{ type: 'SEMVER', events: [{ introduced: '1.0.0' }, { fixed: '1.2.0' }] }],
      },
    ],
  };
  const files = [bad, ...more].map((one, n) => [`npm/${n}.json`, JSON.stringify(one)] as const);
  await writeTree(folder, Object.fromEntries(files));
  return folder;
}

const verdictOf = async (id: Image['id']) => {
  const image = await kitchen.store.images.get(id);
  return latestChecks(image?.checks ?? []).find(({ kind }) => kind === 'scan');
};

describe('advisories', () => {
  it('forbid an image, until somebody waives the finding, and for as long', async () => {
    const image = await baked('1.0.0', { bad: '1.1.0', good: '1.0.0' });
    const folder = await advisories('HIGH');
    const one = scans();
    const run = await done(one, { image, advisories: folder });
    expect(run).toMatchObject({ state: 'failed', advisories: 1, scanned: 1 });
    expect(run.images[0]?.verdict.blocking).toMatchObject([
      { id: 'GHSA-bad', severity: 'high', where: 'pkg:npm/bad@1.1.0', fixedIn: '1.2.0' },
    ]);
    expect(await verdictOf(image.id)).toMatchObject({
      passed: false,
      failures: ['GHSA-bad high in pkg:npm/bad@1.1.0 (fixed in 1.2.0): bad lets anybody in'],
    });

    const change = { actor: 'alice', atMs: Date.now() };
    const waiver = { finding: 'CVE-2024-1', why: 'not reachable', expiresAtMs: Date.now() + 60_000 };
    await kitchen.store.findings.waive(waiver, change);
    const waived = await done(one, { image, advisories: folder });
    expect(waived.images[0]?.verdict).toMatchObject({
      passed: true,
      waived: [{ finding: { id: 'GHSA-bad' }, waiver: { by: 'alice', why: 'not reachable' } }],
    });
    expect(await verdictOf(image.id)).toMatchObject({ passed: true });
    const later = { ...systemClock, now: () => Date.now() + 120_000 };
    expect((await scans({ clock: later }).verdict(image)).passed).toBe(false);
    // A scan alone proves nothing of an image.
    const known = await kitchen.store.images.get(image.id);
    expect(known && asTested(known)).toBeUndefined();
  });

  it('that are new find images that were baked long ago; the same again changes nothing', async () => {
    const old = await baked('1.0.0', { bad: '1.1.0' });
    const fixed = await baked('2.0.0', { bad: '1.2.0' });
    const one = scans();
    expect(
      await done(one, { advisories: await advisories('LOW', { id: 'X-1', affected: [] }) }),
    ).toMatchObject({
      state: 'passed',
      scanned: 2,
      advisories: 2,
      images: [{ image: { id: old.id }, verdict: { noted: [{ id: 'GHSA-bad' }] } }],
    });
    const folder = await advisories('CRITICAL');
    expect(await done(one, { advisories: folder })).toMatchObject({
      state: 'failed',
      images: [{ image: { id: old.id }, verdict: { blocking: [{ severity: 'critical' }] } }],
    });
    expect(await verdictOf(fixed.id)).toMatchObject({ passed: true });
    const revision = await kitchen.store.events.revision();
    await done(one, { advisories: folder });
    expect(await kitchen.store.events.revision()).toBe(revision);
  });

  it('that cannot be read, or are none, are named: nothing is passed over', async () => {
    const image = await baked('1.0.0', { bad: '1.1.0' });
    const one = scans();
    expect((await done(one, { image, advisories: '/nowhere' })).failure).toMatchObject({ code: 'not-found' });
    const folder = await advisories('HIGH');
    await writeFile(path.join(folder, 'broken.json'), '{"id":');
    expect((await done(one, { image, advisories: folder })).failure).toMatchObject({
      code: 'input.invalid',
      faults: [{ path: 'broken.json' }],
    });
    expect((await done(one, { image })).failure).toMatchObject({ code: 'input.invalid' });
    expect(await verdictOf(image.id)).toBeUndefined();
  });
});

describe('the SBOM of a container', () => {
  it('names what no later layer has taken away', async () => {
    const layer = async (files: Readonly<Record<string, string>>): Promise<Descriptor> => {
      const folder = path.join(directory, `layer-${randomUUID()}`);
      await writeTree(folder, files);
      const bytes = execFileSync('tar', ['-C', folder, '-c', '.'], { maxBuffer: 1 << 24 });
      return { digest: await kitchen.blobs.write(bytes), sizeBytes: bytes.length };
    };
    const manifest = (name: string) => JSON.stringify({ name, version: '1.0.0' });
    const at = (name: string) => `srv/node_modules/${name}/package.json`;
    const dpkg = (version: string) =>
      `Package: bash\nStatus: install ok installed\nVersion: ${version}\nArchitecture: amd64\n`;
    const layers = [
      await layer({
        [at('kept')]: manifest('kept'),
        [at('gone')]: manifest('gone'),
        'old/node_modules/a/package.json': manifest('a'),
        'var/lib/dpkg/status': dpkg('5.1'),
        'etc/os-release': 'ID=debian\nVERSION_ID="12"\n',
      }),
      await layer({
        'srv/node_modules/.wh.gone': '',
        'old/node_modules/.wh..wh..opq': '',
        'old/node_modules/b/package.json': manifest('b'),
        'var/lib/dpkg/status': dpkg('5.2'),
      }),
    ];
    const config = await kitchen.blobs.write(Buffer.from('{}'));
    const digest = await writeContainerManifest(kitchen.blobs, { digest: config, sizeBytes: 2 }, layers);
    const baked1 = await baked('1.0.0', {});
    const artifacts = [
      { kind: 'container', provider: 'local', arch: 'amd64', sizeBytes: 1, digest },
    ] as const;
    const sboms = new Sboms(kitchen.blobs, path.join(kitchen.state, 'cache/sboms'));
    const sbom = JSON.parse(await sboms.of({ ...baked1, artifacts }, NEVER));
    expect(sbom.components.map(({ purl }: { purl: string }) => purl)).toEqual([
      'pkg:deb/debian/bash@5.2?arch=amd64&distro=debian-12',
      'pkg:npm/b@1.0.0',
      'pkg:npm/kept@1.0.0',
    ]);
  });
});

describe('a scanner', () => {
  const spec = (more: Partial<ScannerSpec>): ScannerSpec => ({
    name: 'mine',
    argv: [],
    reads: 'sbom',
    answers: 'sarif',
    bring: [],
    timeoutMs: 60_000,
    ...more,
  });
  const script = async (text: string): Promise<string> => {
    const file = path.join(directory, `scanner-${randomUUID()}`);
    await writeFile(file, `#!/bin/sh\n${text}\n`);
    await chmod(file, 0o755);
    return file;
  };

  it('reads the SBOM or the files, and answers in SARIF or CycloneDX', async () => {
    const image = await baked('1.0.0', { bad: '1.1.0' });
    const sarif = {
      version: '2.1.0',
      runs: [
        {
          tool: { driver: { name: 'x', rules: [{ id: 'R1', properties: { 'security-severity': '9.1' } }] } },
          results: [
            {
              ruleId: 'R1',
              message: { text: 'worst' },
              locations: [{ physicalLocation: { artifactLocation: { uri: 'a.js' } } }],
            },
            { ruleId: 'R2', level: 'note', message: { text: 'small' } },
          ],
        },
      ],
    };
    const vulnerabilities = [
      {
        id: 'CVE-2',
        description: 'two',
        ratings: [{ severity: 'medium' }],
        affects: [{ ref: 'pkg:npm/bad@1.1.0' }],
      },
    ];
    const bom = { bomFormat: 'CycloneDX', specVersion: '1.6', vulnerabilities };
    await writeTree(directory, { 'sarif.json': JSON.stringify(sarif), 'bom.json': JSON.stringify(bom) });
    const reader = await script(
      `grep -q pkg:npm/bad@1.1.0 && grep -q bad "$1" && cat ${directory}/sarif.json; exit 3`,
    );
    const walker = await script(
      `test -f "$1/node_modules/bad/package.json" && cp ${directory}/bom.json "$2"`,
    );
    const one = scans({
      scanners: [
        spec({ name: 'reader', argv: [reader, '{sbom}'] }),
        spec({ name: 'walker', argv: [walker, '{root}', '{report}'], reads: 'rootfs', answers: 'cyclonedx' }),
      ],
    });
    const run = await done(one, { image });
    expect(run.failure).toBeUndefined();
    expect(run.images[0]?.verdict).toMatchObject({
      passed: false,
      blocking: [{ id: 'R1', severity: 'critical', where: 'a.js' }],
      noted: [
        { id: 'R2', severity: 'low' },
        { id: 'CVE-2', severity: 'medium', where: 'pkg:npm/bad@1.1.0' },
      ],
    });
    expect(await readdir(path.join(kitchen.state, 'tmp'))).toEqual([]);
  });

  it('that is not there, says nothing, or never ends, is an error and no pass', async () => {
    const image = await baked('1.0.0', {});
    const failure = async (more: Partial<ScannerSpec>) =>
      (await done(scans({ scanners: [spec(more)] }), { image })).failure;
    expect(await failure({ argv: ['/nowhere/scanner'] })).toMatchObject({ code: 'tool.missing' });
    expect(await failure({ argv: [await script('echo nothing found; echo oops >&2')] })).toMatchObject({
      code: 'check.failed',
      message: expect.stringContaining('oops'),
    });
    const slow = await script('sleep 600 & sleep 600');
    expect(await failure({ argv: [slow], timeoutMs: 300 })).toMatchObject({ code: 'timeout' });
    expect(await verdictOf(image.id)).toBeUndefined();
    expect(await readdir(path.join(kitchen.state, 'tmp'))).toEqual([]);
  });

  const missing = BWRAP === undefined ? 'needs bwrap: apt-get install bubblewrap' : undefined;
  if (missing !== undefined && process.env.CI === 'true') throw new Error(missing);

  it.skipIf(missing !== undefined)(
    `runs inside a bundle that has a shell, and sees nothing else ${missing ?? ''}`,
    async () => {
      const folder = path.join(directory, 'root-source');
      await writeTree(folder, { 'kiln.yaml': kilnYaml() });
      await writeSmallRoot(folder, ['sh', 'cat']);
      const image = await kitchen.baked(folder, { version: '1.0.0' });
      const words =
        'echo lynis_version=3; while read -r line; do echo "warning[]=OS|$line"; done </etc/os-release';
      const argv = [
        '/bin/sh',
        '-c',
        `exec >"$0"; ${words}; test -e ${directory} || echo "warning[]=ALONE|yes"`,
        '{report}',
      ];
      const run = await done(scans({ scanners: [spec({ argv, reads: 'inside', answers: 'lynis' })] }), {
        image,
      });
      expect(run.failure).toBeUndefined();
      const [set] = await kitchen.store.findings.of(image.id);
      const said = set?.findings.map(({ id, summary }) => `${id} ${summary}`);
      expect(said).toEqual(expect.arrayContaining(['OS ID=kilntest', 'ALONE yes']));
    },
  );
});
