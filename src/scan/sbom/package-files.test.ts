import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../bakery/blobs.ts';
import { componentName } from '../../domain/ids.ts';
import { sbomText } from './cyclonedx.ts';
import { packageFiles, packagesOf } from './package-files.ts';
import { packageUrl } from './package-url.ts';

function urls(files: Readonly<Record<string, string>>): string[] {
  const chosen = packageFiles(Object.keys(files));
  const read = new Map(chosen.map((path) => [path, files[path] ?? '']));
  return packagesOf(read).packages.map(packageUrl);
}

const LOCK = JSON.stringify({
  lockfileVersion: 3,
  packages: {
    '': { name: 'shop', version: '1.0.0' },
    'node_modules/@aws-sdk/core': { version: '3.1.0' },
    'node_modules/a/node_modules/b': { version: '2.0.0' },
    'node_modules/dev-only': { version: '1.0.0', dev: true },
    'node_modules/own': { link: true, resolved: 'own' },
  },
});

describe('what an image holds is read from', () => {
  it('npm packages where they are installed, however deep, and their licence', () => {
    expect(
      urls({
        'node_modules/@aws-sdk/core/package.json': '{"name":"@aws-sdk/core","version":"3.1.0"}',
        'node_modules/a/package.json': '{"name":"a","version":"1.0.0"}',
        'node_modules/a/node_modules/b/package.json': '{"name":"b","version":"2.0.0-rc.1+x"}',
        'node_modules/a/lib/package.json': '{"type":"module"}',
        'node_modules/a/test/package.json': '{"name":"fixture","version":"9.9.9"}',
        'package-lock.json': LOCK,
        'package.json': '{"name":"shop","version":"1.0.0"}',
      }),
    ).toEqual(['pkg:npm/%40aws-sdk/core@3.1.0', 'pkg:npm/a@1.0.0', 'pkg:npm/b@2.0.0-rc.1%2Bx']);
  });

  it('a lock of npm, without what is for development, where nothing is installed beside it', () => {
    expect(urls({ 'package-lock.json': LOCK, 'other/node_modules/x/package.json': '{}' })).toEqual([
      'pkg:npm/%40aws-sdk/core@3.1.0',
      'pkg:npm/b@2.0.0',
    ]);
    const old = {
      dependencies: {
        a: { version: '1.0.0', dependencies: { b: { version: '2.0.0' } } },
        d: { version: '1', dev: true },
      },
    };
    expect(urls({ 'web/package-lock.json': JSON.stringify(old) })).toEqual([
      'pkg:npm/a@1.0.0',
      'pkg:npm/b@2.0.0',
    ]);
  });

  it('what npm installed, as its own SBOM names it', { timeout: 240_000 }, async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'kiln-sbom-'));
    try {
      const dependencies = { '@sindresorhus/is': '4.6.0', once: '1.4.0' };
      const shop = { name: 'shop', version: '1.0.0', dependencies, devDependencies: { 'left-pad': '1.3.0' } };
      await writeFile(path.join(folder, 'package.json'), JSON.stringify(shop));
      const npm = (...argv: string[]): string => execFileSync('npm', argv, { cwd: folder, encoding: 'utf8' });
      npm('install', '--ignore-scripts', '--no-audit', '--no-fund');
      const named = (...more: string[]): string[] => {
        const { components } = JSON.parse(npm('sbom', '--sbom-format=cyclonedx', ...more));
        return components.map(({ purl }: { purl: string }) => purl).sort();
      };
      const found = globSync('**/*.json', { cwd: folder }).filter(
        (file) => !path.basename(file).startsWith('.'),
      );
      const read = (file: string): [string, string] => [file, readFileSync(path.join(folder, file), 'utf8')];
      const installed = named();
      expect(installed).toHaveLength(4);
      expect(urls(Object.fromEntries(found.map(read)))).toEqual(installed);
      // And by the lock alone, as where the modules are not in the image.
      expect(urls(Object.fromEntries([read('package-lock.json')]))).toEqual(named('--omit=dev'));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('Python, Ruby, Go, PHP and Rust', () => {
    expect(
      urls({
        'venv/lib/python3.11/site-packages/Flask_Login-0.6.3.dist-info/METADATA':
          'Metadata-Version: 2.1\nName: Flask_Login\nVersion: 0.6.3\nLicense: MIT\n\nName: not this\n',
        'Gemfile.lock':
          'GEM\n  remote: https://rubygems.org/\n  specs:\n    nokogiri (1.16.0-x86_64-linux)\n      racc (~> 1.4)\n    racc (1.7.3)\n\nDEPENDENCIES\n  nokogiri\n',
        'go.sum':
          'golang.org/x/net v0.20.0 h1:abc=\ngolang.org/x/net v0.20.0/go.mod h1:def=\ngithub.com/A/b v1.0.0/go.mod h1:x=\n',
        'composer.lock':
          '{"packages":[{"name":"symfony/console","version":"v6.4.1"}],"packages-dev":[{"name":"d/d","version":"1"}]}',
        'Cargo.lock':
          'version = 3\n\n[[package]]\nname = "own"\nversion = "0.1.0"\n\n[[package]]\nname = "serde"\nversion = "1.0.1"\nsource = "registry+https://x"\n',
      }),
    ).toEqual([
      'pkg:cargo/serde@1.0.1',
      'pkg:composer/symfony/console@6.4.1',
      'pkg:gem/nokogiri@1.16.0',
      'pkg:gem/racc@1.7.3',
      'pkg:golang/golang.org/x/net@v0.20.0',
      'pkg:pypi/flask-login@0.6.3',
    ]);
  });

  it('a broken file names nothing, and is named itself', () => {
    const found = packagesOf(new Map([['node_modules/a/package.json', '{"name":']]));
    expect(found).toEqual({ packages: [], unreadable: ['node_modules/a/package.json'] });
  });

  it.skipIf(!existsSync('/var/lib/dpkg/status'))('Debian’s packages, as dpkg-query names them here', () => {
    const listed = execFileSync('dpkg-query', [
      '-W',
      '-f',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the format of dpkg-query
      '${db:Status-Status} ${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\n',
    ])
      .toString()
      .split('\n')
      .filter((line) => line.startsWith('installed '))
      .map((line) => line.slice('installed '.length))
      .sort();
    const files = new Map([
      ['var/lib/dpkg/status', readFileSync('/var/lib/dpkg/status', 'utf8')],
      ['etc/os-release', 'ID=debian\nVERSION_ID="12"\n'],
    ]);
    const { packages } = packagesOf(files);
    const mine = packages.map(
      ({ name, version, arch, source }) => `${name} ${version} ${arch} ${source?.name} ${source?.version}`,
    );
    expect(mine.sort()).toEqual(listed);
    const one = packages.find(({ name }) => name === 'dpkg');
    expect(one && packageUrl(one)).toMatch(/^pkg:deb\/debian\/dpkg@.*\?arch=.*&distro=debian-12$/);
  });
});

describe('an SBOM', () => {
  const image = {
    component: componentName('shop'),
    version: '1.0.0',
    createdAtMs: 1_700_000_000_000,
    artifacts: [{ kind: 'bundle', provider: 'local', arch: 'amd64', sizeBytes: 1, digest: sha256('x') }],
  } as const;
  const files = new Map([
    ['node_modules/a/package.json', '{"name":"@s/a","version":"1.0.0","license":"MIT OR Apache-2.0"}'],
    ['node_modules/b/package.json', '{"name":"b","version":"1.0.0","license":"MIT"}'],
  ]);

  it('is CycloneDX, the same for the same image', () => {
    const text = sbomText(image, packagesOf(files));
    expect(text).toBe(sbomText(image, packagesOf(files)));
    expect(JSON.parse(text)).toMatchObject({
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      serialNumber: expect.stringMatching(
        /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      ),
      version: 1,
      metadata: {
        timestamp: '2023-11-14T22:13:20.000Z',
        component: {
          name: 'shop',
          version: '1.0.0',
          properties: [{ name: 'kiln:artifact', value: sha256('x') }],
        },
      },
      components: [
        {
          type: 'library',
          group: '@s',
          name: 'a',
          version: '1.0.0',
          purl: 'pkg:npm/%40s/a@1.0.0',
          licenses: [{ expression: 'MIT OR Apache-2.0' }],
        },
        { name: 'b', licenses: [{ license: { name: 'MIT' } }] },
      ],
    });
  });
});
