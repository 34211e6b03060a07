/** Machine images by the real Packer: on this machine, and at an emulated Amazon. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandScripts } from '../../src/bakery/machine/packer/provisioners.ts';
import { packerTemplate } from '../../src/bakery/machine/packer/template.ts';
import { rootfsArchive } from '../../src/bakery/oci-layout.ts';
import { parseComponent } from '../../src/component/parse.ts';
import { readComponent } from '../../src/component/read.ts';
import { componentName } from '../../src/domain/ids.ts';
import { isStored } from '../../src/domain/image.ts';
import { scratch } from '../e2e/bake-fixture.ts';
import { freePort } from '../free-port.ts';
import {
  buildProcesses,
  type MachineKitchen,
  machineComponent,
  missingTool,
  openMachineKitchen,
} from './machine-fixture.ts';

const noPacker = missingTool({ packer: 'packer', setpriv: 'util-linux' });
const noMoto = noPacker ?? (onPath('moto_server') ? undefined : 'needs moto_server (Python: moto[server])');
const SECRET = 'not-to-be-seen-anywhere';

let folder: string;
let removeFolder: () => Promise<void>;
let kitchen: MachineKitchen;

beforeAll(async () => {
  const made = await scratch();
  folder = made.directory;
  removeFolder = made.remove;
  kitchen = await openMachineKitchen(path.join(folder, 'state'));
});

afterAll(async () => {
  await kitchen.close();
  await removeFolder();
});

function onPath(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((place) => readable(place).includes(program));
}

function readable(place: string): string[] {
  try {
    return readdirSync(place);
  } catch {
    return []; // A PATH may name what is not there.
  }
}

function litter(state: string): string[] {
  return [...readdirSync(path.join(state, 'tmp')), ...buildProcesses(state)];
}

describe.skipIf(noPacker !== undefined)(
  `on this machine${noPacker === undefined ? '' : ` (${noPacker})`}`,
  () => {
    test('what the file builder makes is kept by its digest, and found unchanged', async () => {
      const component = await machineComponent(
        folder,
        '{builder: file, source: disk.img, architectures: [amd64, arm64]}',
        {
          'disk.img': 'bytes of a disk\n',
        },
      );
      const image = await kitchen.baked(component);
      expect(image.artifacts.map(({ arch, kind, provider }) => ({ arch, kind, provider }))).toEqual(
        expect.arrayContaining([
          { arch: 'amd64', kind: 'machine', provider: 'local' },
          { arch: 'arm64', kind: 'machine', provider: 'local' },
        ]),
      );
      for (const artifact of image.artifacts.filter(isStored)) {
        await kitchen.blobs.verify(artifact.digest, AbortSignal.timeout(60_000));
        const manifest = JSON.parse(await kitchen.blobs.readText(artifact.digest));
        expect(await kitchen.blobs.readText(manifest.layers[0].digest)).toBe('bytes of a disk\n');
        expect(await kitchen.builder.isWhole(artifact)).toBe(true);
      }
      expect((await kitchen.baked(component)).id).toBe(image.id);
      expect(litter(kitchen.state)).toEqual([]);
    });

    test("a component's own templates, in JSON and HCL, are run as they are", async () => {
      const json = {
        variables: { version: '{{env `KILN_VERSION`}}' },
        builders: [
          { type: 'file', name: 'note-arm64', content: 'v{{user `version`}}, built', target: 'note.txt' },
          { type: 'null', name: 'nothing', communicator: 'none' },
        ],
        provisioners: [{ type: 'shell-local', inline: ['echo one, two; echo wrong >&2'] }],
      };
      const hcl = `variable "kiln_version" { type = string }
source "file" "note" {
  content = "v\${var.kiln_version} of HCL"
  target = "hcl.txt"
}
build { sources = ["source.file.note"] }`;
      const first = await kitchen.baked(
        await machineComponent(folder, '{packer: t.json}', { 't.json': JSON.stringify(json) }),
      );
      expect(kitchen.lines).toContain('nothing: one, two');
      expect(await textOf(first)).toBe('v1.0.0, built');
      expect(first.artifacts.map(({ arch, provider, reference }) => [provider, arch, reference])).toEqual(
        expect.arrayContaining([
          ['local', 'arm64', undefined],
          ['null', 'amd64', 'Null'],
        ]),
      );
      const second = await kitchen.baked(
        await machineComponent(folder, '{packer: t.pkr.hcl}', { 't.pkr.hcl': hcl }),
      );
      expect(await textOf(second)).toBe('v1.0.0 of HCL');
    });

    test('a step that fails, hangs, or leaves a process gives no image and no litter', async () => {
      const template = (step: object): string =>
        JSON.stringify({
          builders: [{ type: 'file', name: 'x', content: 'x', target: 'x.txt' }],
          provisioners: [{ type: 'shell-local', ...step }],
        });
      const cases = [
        {
          step: { inline: ['echo it broke, badly >&2; exit 3'] },
          code: 'build.failed',
          says: 'it broke, badly',
        },
        { step: { inline: ['sleep 300'], timeout: '1s' }, code: 'build.timeout', says: 'within its limit' },
        {
          step: { inline: ['sleep 300 >/dev/null 2>&1 </dev/null &'] },
          code: 'build.failed',
          says: 'left running',
        },
      ];
      for (const { step, code, says } of cases) {
        const component = await machineComponent(folder, '{packer: t.json}', { 't.json': template(step) });
        const error = await kitchen.failure(component);
        expect(error.code).toBe(code);
        expect(error.message).toContain(says);
        expect(litter(kitchen.state)).toEqual([]);
        const name = componentName(path.basename(component).replace('component', 'box'));
        expect(await kitchen.store.images.byVersion(name, '1.0.0')).toBeUndefined();
      }
    });

    test('cancelled, it ends with all that it had started', async () => {
      const template = {
        builders: [{ type: 'null', name: 'x', communicator: 'none' }],
        provisioners: [{ type: 'shell-local', inline: ['echo waiting; sleep 300'] }],
      };
      const component = await machineComponent(folder, '{packer: t.json}', {
        't.json': JSON.stringify(template),
      });
      const id = await kitchen.start(component);
      for await (const progress of kitchen.bakery.follow(id, AbortSignal.timeout(50_000))) {
        if (progress.kind === 'output' && progress.line.includes('waiting')) break;
      }
      kitchen.bakery.cancel(id);
      expect((await kitchen.failure(component, id)).code).toBe('aborted');
      expect(litter(kitchen.state)).toEqual([]);
    });

    test('templates for clouds say what they should, and Packer takes them', async () => {
      const machine = (builder: string, more: string): string =>
        `{builder: ${builder}, source: "136693071363/debian-12-*", regions: [us-east-1, eu-west-1], architectures: [amd64, arm64], ${more} provisioners: [{run: "echo {{ not Packer's }}", timeout: 90s}, {file: {from: a.txt, to: /tmp/a}}, {shell: a.sh}, {ansible: play/site.yml}, {puppet: site.pp}, {chef: {cookbooks: cookbooks, runList: ["recipe[web]"]}}]}`;
      const x509 =
        'account_id: "123456789012", s3_bucket: images, x509_cert_path: a.txt, x509_key_path: a.txt';
      const kinds = {
        'amazon-ebs': machine('amazon-ebs', 'disk: 20GiB, options: {instance_type: t3.large},'),
        'amazon-chroot': machine('amazon-chroot', ''),
        'amazon-instance': machine('amazon-instance', `options: {${x509}},`),
        digitalocean: machine('digitalocean', '').replace('136693071363/debian-12-*', 'debian-12-x64'),
      };
      const files = {
        'a.txt': 'a',
        'a.sh': '#!/bin/sh\n',
        'play/site.yml': '[]',
        'site.pp': '',
        'cookbooks/web/x': '',
      };
      for (const [builder, yaml] of Object.entries(kinds)) {
        const directory = await machineComponent(folder, yaml, files);
        const definition = parseComponent(
          readFileSync(path.join(directory, 'kiln.yaml'), 'utf8'),
          'kiln.yaml',
        );
        const spec = definition.image.machine;
        if (spec?.kind !== 'described') throw new Error('it is described');
        const template = packerTemplate({
          spec,
          component: 'box',
          naming: {
            version: '1.2+3',
            tags: {
              component: 'box',
              version: '1.2+3',
              'git.sha': 'abc',
              ancestor: 'base 7',
              'created-at': 'then',
            },
            atMs: Date.UTC(2026, 0, 2, 3, 4, 5),
          },
          sourceOf: () => spec.source,
          fromCatalogue: false,
          scripts: '.',
          outputs: '/made',
          variables: new Set(['aws_access_key', 'aws_secret_key', 'digitalocean_token']),
        });
        for (const [name, text] of Object.entries(commandScripts(spec.provisioners))) {
          await writeFile(path.join(directory, name), text);
        }
        const file = path.join(directory, 'written.json');
        await writeFile(file, JSON.stringify(template));
        const vars = ['aws_access_key', 'aws_secret_key', 'digitalocean_token'].flatMap((name) => [
          '-var',
          `${name}=x`,
        ]);
        // It says nothing when all is well, and fails otherwise.
        execFileSync('packer', ['validate', ...vars, file], { cwd: directory, stdio: 'pipe' });
        expect(template).toMatchSnapshot(builder);
      }
    });
  },
);

async function textOf(image: { artifacts: MachineImageArtifacts }): Promise<string> {
  const artifact = image.artifacts.find(isStored) ?? expect.unreachable();
  const manifest = JSON.parse(await kitchen.blobs.readText(artifact.digest));
  await expect(rootfsArchive(kitchen.blobs, artifact.digest)).rejects.toMatchObject({
    code: 'input.invalid',
  });
  return kitchen.blobs.readText(manifest.layers[0].digest);
}

type MachineImageArtifacts = Awaited<ReturnType<MachineKitchen['baked']>>['artifacts'];

describe.skipIf(noMoto !== undefined)(
  `at Amazon, emulated${noMoto === undefined ? '' : ` (${noMoto})`}`,
  () => {
    let moto: ChildProcess;
    let endpoint: string;
    let amazon: MachineKitchen;

    beforeAll(async () => {
      const port = await freePort();
      endpoint = `http://127.0.0.1:${port}`;
      moto = spawn('moto_server', ['-H', '127.0.0.1', '-p', String(port)], {
        stdio: 'ignore',
        detached: true,
      });
      await answering(endpoint);
      amazon = await openMachineKitchen(path.join(folder, 'amazon'), {
        secrets: { aws_access_key: 'test', aws_secret_key: SECRET },
        amazonEndpoint: endpoint,
      });
    });

    afterAll(async () => {
      await amazon.close();
      if (moto.pid !== undefined) process.kill(-moto.pid, 'SIGKILL');
    });

    test('one bake over two regions and two architectures is one image of four AMIs, tagged with what it is', async () => {
      const component = await machineComponent(
        folder,
        '{builder: amazon-ebs, source: ami-03cf127a, regions: [us-east-1, eu-west-1], architectures: [amd64, arm64]}',
      );
      const image = await amazon.baked(component);
      expect(
        image.artifacts.map(({ arch, provider, region }) => [provider, region, arch].join(' ')).sort(),
      ).toEqual([
        'amazon eu-west-1 amd64',
        'amazon eu-west-1 arm64',
        'amazon us-east-1 amd64',
        'amazon us-east-1 arm64',
      ]);
      expect(new Set(image.artifacts.map(({ reference }) => reference)).size).toBe(4);
      // Each build tells of itself, while the others go on; the log keeps every word.
      const begun = amazon.lines.findIndex((line) => line.startsWith('amazon-ebs.eu-west-1.arm64: '));
      const made = amazon.lines.findIndex((line) => line.startsWith('made: '));
      expect(begun).toBeGreaterThan(-1);
      expect(made).toBeGreaterThan(begun);
      expect(amazon.lines.filter((line) => line.startsWith('made: '))).toHaveLength(4);
      const kept = logsOf(amazon.state);
      for (const { reference = '' } of image.artifacts) expect(kept).toContain(reference);
      expect(kept).not.toContain(SECRET);
      for (const { arch, reference = '', region = '' } of image.artifacts) {
        const found = await describeImage(endpoint, region, reference);
        expect(found).toContain(`<imageId>${reference}</imageId>`);
        for (const [key, value] of Object.entries({ ...image.tags, arch })) {
          expect(found).toMatch(
            new RegExp(`<key>${key}</key>\\s*(<[^>]*>[^<]*</[^>]*>\\s*)*<value>${value}</value>`),
          );
        }
        const name = /<name>([^<]*)<\/name>/.exec(found)?.[1];
        expect(name).toMatch(new RegExp(`^box-\\d+-1\\.0\\.0-${arch}-\\d{14}$`));
      }
      expect(amazon.lines.join('\n')).not.toContain(SECRET);
      expect(litter(amazon.state)).toEqual([]);
      // A child starts from its parent's AMI of the same region, or not at all.
      const child = await machineComponent(
        folder,
        `{builder: amazon-ebs, source: ${image.component}@golden, regions: [eu-west-1]}`,
      );
      const { definition } = await readComponent(child);
      const base = { image: image.id, artifacts: image.artifacts };
      const lines: string[] = [];
      // What the emulator registers has no root on EBS, so that nothing can be made from it: Packer found it, and stops.
      await expect(
        amazon.builder.build(
          { definition, directory: child, base },
          (progress) => lines.push(progress.kind === 'output' ? progress.line : progress.detail),
          AbortSignal.timeout(50_000),
        ),
      ).rejects.toMatchObject({ code: 'build.failed', message: expect.stringContaining('root device type') });
      const parent = image.artifacts.find(
        ({ arch, region }) => region === 'eu-west-1' && arch === 'amd64',
      )?.reference;
      expect(lines.join('\n')).toContain(`Found Image ID: ${parent}`);
      const elsewhere = { ...base, artifacts: base.artifacts.filter(({ region }) => region === 'us-east-1') };
      const wrong = { definition, directory: child, base: elsewhere };
      await expect(
        amazon.builder.build(wrong, () => undefined, AbortSignal.timeout(50_000)),
      ).rejects.toMatchObject({
        code: 'input.invalid',
        message: expect.stringContaining('amazon eu-west-1 amd64'),
      });
    });
  },
);

function logsOf(state: string): string {
  const folder = path.join(state, 'logs/bakes');
  return readdirSync(folder)
    .map((log) => readFileSync(path.join(folder, log), 'utf8'))
    .join('\n');
}

async function answering(url: string): Promise<void> {
  const deadline = performance.now() + 50_000;
  while (performance.now() < deadline) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer !== undefined) return;
    await sleep(200);
  }
  throw new Error('moto_server did not answer');
}

async function describeImage(endpoint: string, region: string, id: string): Promise<string> {
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${region}/ec2/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: `Action=DescribeImages&Version=2016-11-15&ImageId.1=${id}`,
  });
  return answer.text();
}
