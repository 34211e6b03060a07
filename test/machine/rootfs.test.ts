/** Root filesystems as Kiln makes them itself, with the real mmdebstrap, bubblewrap and Ansible; and by Packer in Docker. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ImageFiles } from '../../src/bakery/image-files.ts';
import { compareArchives } from '../../src/bakery/machine/compare-archives.ts';
import { rootfsArchive } from '../../src/bakery/oci-layout.ts';
import { readComponent } from '../../src/component/read.ts';
import { channelName } from '../../src/domain/ids.ts';
import { type Image, isStored } from '../../src/domain/image.ts';
import { Sboms } from '../../src/scan/sbom/sboms.ts';
import type { ScannerSpec } from '../../src/scan/scanners/scanner.ts';
import { type ScanRun, Scans } from '../../src/scan/scans.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { unpackToScan } from '../../src/server/unpack-to-scan.ts';
import { DOCKER_SOCKET, dockerAnswers, NO_DOCKER } from '../docker.ts';
import { NEVER, writeTree } from '../e2e/bake-fixture.ts';
import {
  buildProcesses,
  type MachineKitchen,
  machineComponent,
  missingTool,
  openMachineKitchen,
} from './machine-fixture.ts';

const missing = missingTool({
  mmdebstrap: 'mmdebstrap',
  bwrap: 'bubblewrap',
  setpriv: 'util-linux',
  mksquashfs: 'squashfs-tools',
  'qemu-img': 'qemu-utils',
});
const NOBODY = 65_534;
const lent = /^(nobody|65534):/m;
const noIds =
  process.env.CI === 'true' || (process.getuid?.() === 0 && lent.test(readFileSync('/etc/subuid', 'utf8')))
    ? undefined
    : 'needs root, and a range for nobody in /etc/subuid and /etc/subgid';
const FOUNDATION_LIMIT_MS = 600_000;
const LIMIT_MS = 180_000;
const NEEDED_BYTES = 6 * 1024 ** 3;

const ADVISORY = {
  id: 'DSA-1',
  modified: '2024-01-01T00:00:00Z',
  summary: 'whoever types gets in',
  database_specific: { severity: 'CRITICAL' },
  affected: [
    {
      package: { ecosystem: 'Debian:12', name: 'bash' },
      ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }, { fixed: '99' }] }],
    },
  ],
};
/** Some of its tests, for they are slow; its report begins with what it took the system for, which becomes a finding. */
const LYNIS_SCRIPT =
  '/usr/sbin/lynis audit system --quick --quiet --no-colors --tests-from-group authentication,banners ' +
  '--log-file /dev/null --report-file "$0"; ' +
  'grep -E "^(os_fullname|hostname)=" "$0" | sed "s/^/suggestion[]=SYSTEM|/" >> "$0"; ' +
  'stat -c "suggestion[]=SYSTEM|%n %a" /tmp >> "$0"';
const LYNIS: ScannerSpec = {
  name: 'lynis',
  argv: ['/bin/sh', '-c', LYNIS_SCRIPT, '{report}'],
  reads: 'inside',
  answers: 'lynis',
  bring: ['/usr/sbin/lynis', '/usr/share/lynis', '/etc/lynis'],
  timeoutMs: 240_000,
};

let folder: string;
let kitchen: MachineKitchen;
let foundation: Image;

/** In memory where there is room: the same root filesystem is written a dozen times. */
async function roomyFolder(): Promise<string> {
  const memory = '/dev/shm';
  const { bavail, bsize } = await statfs(memory).catch(() => ({ bavail: 0, bsize: 0 }));
  return mkdtemp(path.join(bavail * bsize > NEEDED_BYTES ? memory : tmpdir(), 'kiln-machine-'));
}

async function archiveOf(image: Pick<Image, 'artifacts'>): Promise<string> {
  const artifact = image.artifacts.find(isStored) ?? expect.unreachable();
  return kitchen.blobs.path(await rootfsArchive(kitchen.blobs, artifact.digest));
}

function listing(archive: string): string[] {
  return execFileSync('tar', ['-tf', archive], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }).split('\n');
}

function contentOf(archive: string, file: string): string {
  return execFileSync('tar', ['-xOf', archive, file], { encoding: 'utf8' });
}

/** A component on the foundation. */
function onFoundation(steps: string, files: Record<string, string> = {}, more = ''): Promise<string> {
  const source = `${foundation.component}@golden`;
  return machineComponent(
    folder,
    `{builder: chroot, source: ${source}, ${more} provisioners: [${steps}]}`,
    files,
  );
}

/** Nothing of a build is left: no mount that anybody sees, no process. */
async function expectNothingRuns(state: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (buildProcesses(state).length > 0 && performance.now() < deadline) await sleep(50);
  expect(buildProcesses(state)).toEqual([]);
  expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(state);
}

interface Builder {
  readonly child: ChildProcess;
  /** From the start on: one that ends right after its last word is not waited for in vain. */
  readonly ended: Promise<unknown>;
}

/** @param uid whose process it is; undefined: ours */
function buildElsewhere(state: string, archive: string, directory: string, uid?: number): Builder {
  const as = uid === undefined ? {} : { uid, gid: uid };
  const child = fork(path.join(import.meta.dirname, 'rootfs-builder.ts'), [state, archive, directory], {
    execArgv: [],
    ...as,
  });
  return { child, ended: once(child, 'close') };
}

async function heard(child: ChildProcess, wanted: RegExp): Promise<string> {
  for await (const [message] of messages(child)) {
    const text = String(message);
    if (wanted.test(text)) return text;
    if (text.startsWith('failed ')) throw new Error(text);
  }
  throw new Error('it ended before it said so');
}

async function* messages(child: ChildProcess): AsyncGenerator<readonly unknown[]> {
  const queue: unknown[][] = [];
  child.on('message', (message) => queue.push([message]));
  // What it said last is heard before it counts as gone.
  while (child.connected) {
    const next = queue.shift();
    if (next === undefined) await sleep(20);
    else yield next;
  }
  yield* queue;
}

describe.skipIf(missing !== undefined)(
  `a root filesystem${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    beforeAll(async () => {
      folder = await roomyFolder();
      kitchen = await openMachineKitchen(path.join(folder, 'state'), {
        environment: { DOCKER_HOST: `unix://${DOCKER_SOCKET}` },
      });
      const directory = await machineComponent(
        folder,
        '{builder: chroot, source: bookworm, options: {packages: [bats, ansible-core]}}',
      );
      foundation = await kitchen.baked(directory);
      const channel = channelName('golden');
      await kitchen.store.channels.move(
        { component: foundation.component, channel, image: foundation.id, why: 'the first' },
        { actor: 'tester', atMs: Date.now() },
      );
    }, FOUNDATION_LIMIT_MS);

    afterAll(async () => {
      await kitchen.close();
      await rm(folder, { recursive: true, force: true });
    });

    test('a Debian foundation holds nothing of the machine that it was made on', {
      timeout: LIMIT_MS,
    }, async () => {
      const files = listing(await archiveOf(foundation));
      expect(files).toContain('./usr/bin/bats');
      for (const own of ['./etc/hostname', './etc/resolv.conf', './dev/null', './usr/sbin/policy-rc.d']) {
        expect(files).not.toContain(own);
      }
      await expectNothingRuns(kitchen.state);
      expect(readdirSync(path.join(kitchen.state, 'tmp'))).toEqual([]);
    });

    const noLynis = missingTool({ lynis: 'lynis', bwrap: 'bubblewrap' });
    test.skipIf(noLynis !== undefined)(
      `its packages are matched with advisories, and lynis looks at it from inside${noLynis === undefined ? '' : ` (${noLynis})`}`,
      { timeout: LIMIT_MS },
      async () => {
        const sboms = new Sboms(kitchen.blobs, path.join(kitchen.state, 'cache/sboms'));
        const { components } = JSON.parse(await sboms.of(foundation, NEVER));
        expect(components.map(({ purl }: { purl: string }) => purl)).toEqual(
          expect.arrayContaining([
            expect.stringMatching(/^pkg:deb\/debian\/bash@5\.[^?]+\?arch=amd64&distro=debian-12$/),
          ]),
        );
        const advisories = path.join(folder, 'osv');
        await writeTree(advisories, { 'DSA-1.json': JSON.stringify(ADVISORY) });
        const scans = new Scans({
          store: kitchen.store,
          sboms,
          clock: systemClock,
          host: {
            temporary: path.join(kitchen.state, 'tmp'),
            searchPath: '/usr/bin:/bin',
            bwrap: '/usr/bin/bwrap',
            isRoot: process.getuid?.() === 0,
            newId: randomUUID,
            unpack: unpackToScan(kitchen.blobs, () => expect.unreachable('it is no bundle')),
          },
          scanners: [LYNIS],
          advisories,
          worst: 'high',
          newId: randomUUID,
        });
        const scanned = async (): Promise<ScanRun> => {
          let run = scans.start({ image: foundation, actor: 'tester' });
          while (run.state === 'running') run = await scans.wait(run.id, 60_000, NEVER);
          return run;
        };
        const run = await scanned();
        expect(run.failure).toBeUndefined();
        expect(run.images[0]?.verdict.blocking).toMatchObject([
          { id: 'DSA-1', severity: 'critical', where: expect.stringMatching(/^pkg:deb\/debian\/bash@/) },
        ]);
        const sets = await kitchen.store.findings.of(foundation.id);
        const said = sets.find(({ source }) => source === 'lynis')?.findings.map(({ summary }) => summary);
        expect(said?.length).toBeGreaterThan(2);
        expect(said).toEqual(
          expect.arrayContaining([
            'hostname=image',
            '/tmp 1777',
            expect.stringMatching(/^os_fullname=Debian GNU\/Linux 12/),
          ]),
        );
        // What nobody can put right can be waived: by name, with a reason, for a while.
        const waiver = { finding: 'DSA-1', why: 'no login shell', expiresAtMs: Date.now() + 600_000 };
        await kitchen.store.findings.waive(waiver, { actor: 'alice', atMs: Date.now() });
        expect((await scans.verdict(foundation)).passed).toBe(true);
        await scans.close();
        expect(readdirSync(path.join(kitchen.state, 'tmp'))).toEqual([]);
      },
    );

    test('its steps run inside, by a shell and by Ansible; equal inputs give equal bytes', {
      timeout: LIMIT_MS,
    }, async () => {
      const playbook = [
        '- hosts: all',
        '  gather_facts: false',
        '  tasks:',
        '    - copy: {content: "by ansible\\n", dest: /etc/by-ansible, owner: www-data, mode: "0640"}',
      ].join('\n');
      const directory = await onFoundation(
        '{run: "echo by run >/etc/by-run; [ $(stat -c %a /tmp) = 1777 ]; date +%s%N >/tmp/scratch"}, {shell: steps/one.sh}, {file: {from: files, to: /srv/files}}, {ansible: play/site.yml}',
        {
          'steps/one.sh': '#!/bin/sh\nid -un >/etc/by-shell\n',
          'files/a': 'copied\n',
          'play/site.yml': playbook,
        },
      );
      const image = await kitchen.baked(directory);
      expect(image.parent).toBe(foundation.id);
      expect(image.tags.ancestor).toBe(`${foundation.component} 1.0.0`);
      const archive = await archiveOf(image);
      expect(contentOf(archive, './etc/by-run')).toBe('by run\n');
      expect(contentOf(archive, './etc/by-shell')).toBe('root\n');
      expect(contentOf(archive, './srv/files/a')).toBe('copied\n');
      expect(contentOf(archive, './etc/by-ansible')).toBe('by ansible\n');
      expect(
        execFileSync('tar', ['--numeric-owner', '-tvf', archive, './etc/by-ansible'], { encoding: 'utf8' }),
      ).toMatch(/^-rw-r----- 33\//);
      const listed = listing(archive);
      for (const own of ['./tmp/scratch', './etc/resolv.conf', './usr/sbin/policy-rc.d', './run/kiln/']) {
        expect(listed).not.toContain(own);
      }
      const digestOf = ({ artifacts }: Image) => artifacts.find(isStored)?.digest ?? expect.unreachable();
      const files = new ImageFiles(kitchen.blobs);
      const changes = await files.changes(digestOf(foundation), digestOf(image), NEVER);
      expect(changes).toEqual(expect.arrayContaining([{ path: 'etc/by-run', change: 'added' }]));
      expect(compareArchives(await archiveOf(foundation), archive)).toEqual(
        expect.arrayContaining([{ path: 'srv/files/a', change: 'added' }]),
      );
      const { definition } = await readComponent(directory);
      const base = { image: foundation.id, artifacts: foundation.artifacts };
      const again = await kitchen.builder.build({ definition, directory, base }, () => undefined, NEVER);
      expect(again.artifacts).toEqual(image.artifacts);
      await expectNothingRuns(kitchen.state);
      expect(readdirSync(path.join(kitchen.state, 'tmp'))).toEqual([]);
    });

    test('other forms of it are artifacts of the same image', { timeout: LIMIT_MS }, async () => {
      const image = await kitchen.baked(
        await onFoundation('', {}, 'disk: 600MiB, formats: [squashfs, qcow2],'),
      );
      const forms = image.artifacts.filter(isStored);
      const layers = await Promise.all(
        forms.map(async ({ digest }) => JSON.parse(await kitchen.blobs.readText(digest)).layers[0]),
      );
      expect(layers.map(({ mediaType }) => mediaType)).toEqual([
        'application/vnd.oci.image.layer.v1.tar',
        'application/vnd.kiln.machine.squashfs',
        'application/vnd.kiln.machine.qcow2',
      ]);
      const files = await Promise.all(layers.map(({ digest }) => kitchen.blobs.path(digest)));
      const [, squashfs = '', qcow2 = ''] = files;
      const options = { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 } as const;
      expect(execFileSync('unsquashfs', ['-ll', squashfs], options)).toMatch(
        /^-rwxr-xr-x root\/root .* squashfs-root\/usr\/bin\/bats$/m,
      );
      const disk = JSON.parse(execFileSync('qemu-img', ['info', '--output=json', qcow2], options));
      expect(disk).toMatchObject({ format: 'qcow2', 'virtual-size': 600 * 1024 * 1024 });
      execFileSync('qemu-img', ['check', qcow2]);
    });

    test('a step that fails, hangs, or leaves a process gives no image', { timeout: LIMIT_MS }, async () => {
      const cases = [
        { step: '{run: "echo no such thing >&2; exit 4"}', code: 'build.failed', says: 'no such thing' },
        { step: '{run: sleep 300, timeout: 1s}', code: 'build.timeout', says: 'within 1 s' },
        { step: '{run: "setsid sleep 300 >/dev/null 2>&1 &"}', code: 'build.failed', says: 'sleep' },
      ];
      for (const { step, code, says } of cases) {
        const error = await kitchen.failure(await onFoundation(step));
        expect({ code: error.code, says: error.message.includes(says) }).toEqual({ code, says: true });
        await expectNothingRuns(kitchen.state);
        expect(readdirSync(path.join(kitchen.state, 'tmp'))).toEqual([]);
      }
    });

    test('killed in the middle, it leaves no mount and no process; the next server removes its folder', {
      timeout: LIMIT_MS,
    }, async () => {
      const state = path.join(folder, 'killed');
      const directory = await onFoundation('{run: "mkdir /held; mount | head -3; echo waiting; sleep 300"}');
      const { child, ended } = buildElsewhere(state, await archiveOf(foundation), directory);
      await heard(child, /^waiting$/);
      expect(buildProcesses(state).length).toBeGreaterThan(0);
      child.kill('SIGKILL');
      await ended;
      await expectNothingRuns(state);
      expect(readdirSync(path.join(state, 'tmp'))).not.toEqual([]);
      const next = await openMachineKitchen(state);
      await next.builder.sweep();
      expect(readdirSync(path.join(state, 'tmp'))).toEqual([]);
      await next.close();
    });

    test.skipIf(noIds !== undefined)(
      `an ordinary user makes it too, the same to the byte${noIds === undefined ? '' : ` (${noIds})`}`,
      { timeout: LIMIT_MS },
      async () => {
        const directory = await onFoundation('{run: "echo owned >/etc/owned; chown 33:33 /etc/owned"}');
        const mine = await kitchen.baked(directory);
        const state = path.join(folder, 'nobody');
        mkdirSync(state);
        chownSync(state, NOBODY, NOBODY);
        chmodSync(folder, 0o755);
        const archive = path.join(folder, 'foundation.tar');
        execFileSync('cp', [await archiveOf(foundation), archive]);
        chmodSync(archive, 0o644);
        const { child, ended } = buildElsewhere(state, archive, directory, NOBODY);
        const made = await heard(child, /^made /);
        expect(made).toBe(`made ${mine.artifacts[0]?.digest}`);
        await ended;
        expect(readdirSync(path.join(state, 'tmp'))).toEqual([]);

        const small = await machineComponent(folder, '{builder: chroot, source: bookworm}');
        const founder = buildElsewhere(state, '', small, NOBODY);
        expect(await heard(founder.child, /^made /)).toMatch(/^made sha256:/);
        await founder.ended;
        expect(readdirSync(path.join(state, 'tmp'))).toEqual([]);
      },
    );

    describe.skipIf(!dockerAnswers)(`in Docker, by Packer${dockerAnswers ? '' : ` (${NO_DOCKER})`}`, () => {
      const name = 'kiln-test-machine:base';
      const docker = (...argv: string[]): string =>
        execFileSync('docker', ['--host', `unix://${DOCKER_SOCKET}`, ...argv], { encoding: 'utf8' });

      test('steps of a shell and of Ansible make a root filesystem; what still runs makes none', {
        timeout: LIMIT_MS,
      }, async () => {
        docker('import', await archiveOf(foundation), name);
        try {
          const machine = (steps: string): string =>
            `{builder: docker, source: "${name}", options: {pull: false}, provisioners: [${steps}]}`;
          const playbook =
            '- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {content: x, dest: /etc/by-ansible}\n';
          const component = await machineComponent(
            folder,
            machine(
              '{run: "echo \'{{ kept }}\' >/etc/by-run"}, {ansible: play/site.yml}, {file: {from: a.txt, to: /etc/a.txt}}',
            ),
            { 'play/site.yml': playbook, 'a.txt': 'a' },
          );
          const archive = await archiveOf(await kitchen.baked(component));
          expect(contentOf(archive, 'etc/by-run')).toBe('{{ kept }}\n');
          expect(contentOf(archive, 'etc/by-ansible')).toBe('x');
          expect(contentOf(archive, 'etc/a.txt')).toBe('a');
          const leaving = await machineComponent(
            folder,
            machine('{run: "setsid sleep 300 >/dev/null 2>&1 </dev/null &"}'),
          );
          const error = await kitchen.failure(leaving);
          expect(error.code).toBe('build.failed');
          expect(error.message).toContain('left running by provisioning: sleep');
          expect(docker('ps', '--all', '--quiet', '--filter', `ancestor=${name}`)).toBe('');
          await expectNothingRuns(kitchen.state);
        } finally {
          docker('rmi', name);
        }
      });
    });
  },
);
