/** A machine image from its template to a channel, over the command line: baked by Packer for two regions and as a root filesystem, booted, tested, promoted, found. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DOCKER_SOCKET, dockerAnswers, NO_DOCKER } from '../docker.ts';
import { writeTree } from '../e2e/bake-fixture.ts';
import { Kiln, until } from '../e2e/kiln.ts';
import { missingTool } from './machine-fixture.ts';
import { Moto, noMoto } from './moto.ts';
import { archiveSmallMachine, writeSmallMachine } from './small-machine.ts';
import { machinesInDocker, runningMachines } from './trial-fixture.ts';

const missing =
  missingTool({ packer: 'packer', setpriv: 'util-linux', bats: 'bats', docker: 'docker.io' }) ??
  noMoto() ??
  (dockerAnswers ? undefined : NO_DOCKER);
const LIMIT_MS = 300_000;
/** Of this test process alone: others use the engine too. */
const FOUNDATION = `kiln-test-machine-journey:${process.pid}`;
const PLACES = ['us-east-1', 'eu-west-1'].flatMap((region) =>
  ['amd64', 'arm64'].map((arch) => ({ region, arch })),
);

const docker = (...argv: string[]): string =>
  execFileSync('docker', ['--host', `unix://${DOCKER_SOCKET}`, ...argv], { encoding: 'utf8' });

/** The root filesystem that is booted for the checks. */
const ROOTFS = {
  type: 'docker',
  name: 'rootfs-amd64',
  image: FOUNDATION,
  pull: false,
  export_path: '{{user `outputs`}}/rootfs.tar',
};

const PACKAGES = 'Package: openssl\nStatus: install ok installed\nVersion: 3.0.1-1\nArchitecture: amd64\n';
const ADVISORY = {
  id: 'DSA-7',
  modified: '2024-01-01T00:00:00Z',
  summary: 'certificates of others are taken',
  database_specific: { severity: 'CRITICAL' },
  affected: [
    {
      package: { ecosystem: 'Debian:12', name: 'openssl' },
      ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }, { fixed: '3.0.2' }] }],
    },
  ],
};

function amazon({ region, arch }: (typeof PLACES)[number], endpoint: string): object {
  return {
    type: 'amazon-ebs',
    name: `${region}-${arch}`,
    region,
    source_ami: 'ami-03cf127a',
    instance_type: 't3.small',
    communicator: 'none',
    ami_name: `{{user \`name\`}}-${arch}`,
    access_key: 'test',
    secret_key: 'test',
    custom_endpoint_ec2: endpoint,
    skip_region_validation: true,
  };
}

function template(builders: readonly object[]): string {
  return JSON.stringify({
    variables: { outputs: '{{env `KILN_OUTPUTS`}}', name: '{{env `KILN_IMAGE_NAME`}}' },
    builders,
    provisioners: [{ type: 'file', only: ['rootfs-amd64'], source: 'test', destination: '/opt/test' }],
  });
}

const kilnYaml = (version: string, packer: string, tests: string): string => `component: precise
version: ${version}
image: {kind: machine, machine: {packer: ${packer}}, tests: [${tests}]}
service: {run: perl /opt/serve, health: /}
checks: [smoke.yaml]
`;

describe.skipIf(missing !== undefined)(
  `a machine image${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let kiln: Kiln;
    let moto: Moto;
    let component: string;

    beforeAll(async () => {
      [kiln, moto] = await Promise.all([
        Kiln.create({ environment: { KILN_DOCKER_SOCKET: DOCKER_SOCKET } }),
        Moto.start(),
      ]);
      const root = path.join(kiln.directory, 'root');
      const archive = path.join(kiln.directory, 'foundation.tar');
      await writeSmallMachine(root);
      await writeTree(root, {
        'var/lib/dpkg/status': PACKAGES,
        'etc/os-release': 'ID=debian\nVERSION_ID="12"\n',
      });
      await archiveSmallMachine(archive, root);
      docker('import', archive, FOUNDATION);
      component = path.join(kiln.directory, 'precise');
      await writeTree(component, {
        'kiln.yaml': kilnYaml('1.0.0', 'all.json', 'opt/test/good.bats'),
        'all.json': template([ROOTFS, ...PLACES.map((place) => amazon(place, moto.endpoint))]),
        'rootfs.json': template([ROOTFS]),
        'test/good.bats': '@test "it is what it says" { [ "$KILN_VERSION" != "" ]; [ -x /bin/sh ]; }\n',
        'test/bad.bats': '@test "it has what nobody put there" { [ -e /opt/nothing ]; }\n',
        'smoke.yaml': 'tests:\n  - {name: front, uri: /, outcomes: {response_body_contains: version}}\n',
      });
      await kiln.serve();
    }, LIMIT_MS);

    afterAll(async () => {
      docker('rmi', FOUNDATION);
      await moto.close();
      await kiln.destroy();
    });

    it(
      'is baked, booted, tested and promoted as one, and found by region and architecture',
      async () => {
        await kiln.json('bake', component);
        const early = await kiln.run('promote', 'precise@1.0.0', 'golden', '--why', 'too soon');
        expect(early.code).not.toBe(0);
        expect(early.stderr).toContain('check');

        const checked = await kiln.json<{ results: { kind: string; passed: boolean }[] }>(
          'check',
          'precise@1.0.0',
        );
        expect(checked.results.map(({ kind, passed }) => [kind, passed])).toEqual([
          ['boot', true],
          ['smoke', true],
          ['in-image', true],
        ]);
        await kiln.json('promote', 'precise@1.0.0', 'golden', '--why', 'proven');
        const found = await Promise.all(
          PLACES.map(async ({ region, arch }) => {
            const query = `precise:golden arch=${arch} region=${region}`;
            return (await kiln.run('images', query, '--format', '{{reference}}')).stdout.trim();
          }),
        );
        for (const reference of found) expect(reference).toMatch(/^ami-[0-9a-f]{8,17}$/);
        expect(new Set(found).size).toBe(PLACES.length);
        const nowhere = await kiln.run('images', 'precise:golden arch=arm64 region=eu-north-1');
        expect(nowhere.stdout).not.toContain('ami-');
      },
      LIMIT_MS,
    );

    it(
      'has an SBOM, and is found by an advisory about what is in it',
      async () => {
        const sbom = await kiln.json<{ components: { purl: string }[] }>('sbom', 'precise@1.0.0');
        const purls = sbom.components.map(({ purl }) => purl);
        expect(purls).toEqual(['pkg:deb/debian/openssl@3.0.1-1?arch=amd64&distro=debian-12']);
        await writeTree(kiln.directory, { 'osv/DSA-7.json': JSON.stringify(ADVISORY) });
        const scan = await kiln.run('scan', '--advisories', path.join(kiln.directory, 'osv'), '--json');
        expect(scan.code).toBe(1);
        expect(JSON.parse(scan.stdout)).toMatchObject({
          scanned: 1,
          images: [
            { image: { component: 'precise' }, verdict: { passed: false, blocking: [{ id: 'DSA-7' }] } },
          ],
        });
      },
      LIMIT_MS,
    );

    it(
      'that fails its tests is kept to be looked at, and never promoted',
      async () => {
        const yaml = kilnYaml('2.0.0', 'rootfs.json', 'opt/test/*.bats');
        await writeTree(component, { 'kiln.yaml': yaml, 'test/late.sh': 'true\n' });
        await kiln.json('bake', component);
        const check = await kiln.run('check', 'precise@2.0.0');
        expect(check.code).toBe(1);
        expect(check.stdout + check.stderr).toContain('it has what nobody put there');
        const refused = await kiln.run('promote', 'precise@2.0.0', 'golden', '--why', 'hope');
        expect(refused.code).not.toBe(0);
        expect(refused.stderr).toContain('it failed its tests inside the image');
        expect(await kiln.json('images', '--image', 'precise@2.0.0')).toMatchObject({
          state: 'failed',
          checks: expect.arrayContaining([expect.objectContaining({ kind: 'in-image', passed: false })]),
        });
        const diff = await kiln.run('images', 'diff', 'precise@1.0.0', 'precise@2.0.0');
        expect(diff.stdout).toContain('opt/test/late.sh');
        const golden = await kiln.run('images', 'precise:golden', '--format', '{{version}}');
        expect(golden.stdout.trim().split('\n')).toContain('1.0.0');
        expect(machinesInDocker(kiln.state)).toEqual([]);
      },
      LIMIT_MS,
    );

    it(
      'whose check a dying server leaves behind is gone once the next one serves',
      async () => {
        await until(
          'the server dies while a machine runs',
          async () => {
            let isOver = false;
            const check = kiln.run('check', 'precise@1.0.0').then(() => {
              isOver = true;
            });
            await until(
              'a machine runs, or the check is over',
              async () => {
                return isOver || runningMachines(kiln.state).length > 0;
              },
              LIMIT_MS,
            );
            if (isOver) return false;
            await kiln.kill();
            await kiln.serve();
            await check;
            return true;
          },
          LIMIT_MS,
        );
        expect(machinesInDocker(kiln.state)).toEqual([]);
      },
      LIMIT_MS,
    );
  },
);
