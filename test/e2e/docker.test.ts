/** Containers from the bake to live traffic: an image from a Dockerfile, and a bundle in a runtime image. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EngineClient, filters } from '../../src/docker/engine-client.ts';
import { DOCKER_SOCKET, dockerAnswers, NO_DOCKER, runtimeImage } from '../docker.ts';
import { noRegistry, RegistryProcess } from '../registry/registry-process.ts';
import { writeTree } from './bake-fixture.ts';
import { Kiln } from './kiln.ts';

interface Transferred {
  readonly progress: { readonly movedBytes: number };
}

const LOCK = JSON.stringify({
  lockfileVersion: 3,
  packages: { '': { name: 'greeter' }, 'node_modules/left-pad': { version: '1.3.0' } },
});
const DPKG_STATUS =
  'Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nSource: zlib\nVersion: 1:1.2.13.dfsg-1\n';

const HOST = 'greeter.stage.localhost';

/** A test in the image, which asks the instance beside it. */
const ASKS_THE_INSTANCE =
  "test -f server.js && node -e 'fetch(process.env.BASE_URL).then(async (a) => process.exit(/^Hello from /.test(await a.text()) ? 0 : 1))'";

if (!dockerAnswers) test.skip(`containers: ${NO_DOCKER}`);

describe.runIf(dockerAnswers)('containers', { timeout: 240_000 }, () => {
  let kiln: Kiln;
  let secrets: string;
  beforeAll(async () => {
    secrets = await mkdtemp(path.join(tmpdir(), 'kiln-secrets-'));
    await writeFile(path.join(secrets, 'token'), 'of-the-server');
    const environment = { KILN_DOCKER_SOCKET: DOCKER_SOCKET, KILN_BUILD_SECRETS: secrets };
    kiln = await Kiln.create({ environment });
    await kiln.serve();
  });
  afterAll(async () => {
    await kiln.destroy();
    await rm(secrets, { recursive: true, force: true });
  });

  test('an image of a Dockerfile is baked, checked, released and replaced without a failed request', async () => {
    const folder = await exampleOnTestRuntime();
    await kiln.json('bake', folder, '--version', '1.0.0');
    await kiln.json('deploy', 'greeter@1.0.0', 'stage/local');
    expect(await kiln.ask(HOST)).toMatchObject({ status: 200, body: 'Hello from 1.0.0\n' });

    for (const [version, strategy] of [
      ['2.0.0', 'rolling'],
      ['3.0.0', 'blue-green'],
    ] as const) {
      await rewrite(path.join(folder, 'server.js'), (text) => `${text}// ${version}\n`);
      await kiln.json('bake', folder, '--version', version);
      const failed = await failuresDuring(() =>
        kiln.json('deploy', `greeter@${version}`, 'stage/local', '--strategy', strategy),
      );
      expect(failed).toEqual([]);
      expect(await kiln.ask(HOST)).toMatchObject({ status: 200, body: `Hello from ${version}\n` });
    }
    await kiln.json('rollback', 'greeter', 'stage/local');
    expect((await kiln.ask(HOST)).body).toBe('Hello from 2.0.0\n');

    const again = await kiln.run('bake', folder, '--version', '3.0.0');
    expect(again).toMatchObject({ code: 0 });
    const logs = await kiln.run('logs', 'greeter', 'stage/local', '--tail', '50');
    expect(logs.stdout).toContain('greeting on 8080');
    await kiln.json('stop', 'greeter', 'stage/local');
    expect([404, 503]).toContain((await kiln.ask(HOST)).status);
  });

  test.skipIf(noRegistry() !== undefined)(
    'an image goes to another machine by its digest, and is replaced there behind HAProxy without a failed request',
    async () => {
      const registry = await RegistryProcess.start();
      const environment = { KILN_DOCKER_SOCKET: DOCKER_SOCKET };
      const other = await Kiln.create({ router: 'haproxy', environment });
      try {
        const folder = await exampleOnTestRuntime();
        await rewrite(path.join(folder, 'kiln.yaml'), (text) =>
          text.replace('{ args:', '{ secrets: [token], args:'),
        );
        await writeTree(folder, { 'package-lock.json': LOCK, status: DPKG_STATUS });
        await rewrite(path.join(folder, 'Dockerfile'), (text) =>
          text
            .replace('COPY server.js .', 'COPY server.js package-lock.json ./\nCOPY status /var/lib/dpkg/')
            .replace('ENTRYPOINT', 'RUN --mount=type=secret,id=token test -s /run/secrets/token\nENTRYPOINT'),
        );
        const to = `${registry.host}/team/greeter`;
        const digests: string[] = [];
        for (const version of ['4.0.0', '5.0.0']) {
          await rewrite(path.join(folder, 'server.js'), (text) => `${text}// ${version}\n`);
          const { image } = await kiln.json<{ image: { digest: string } }>(
            'bake',
            folder,
            '--version',
            version,
          );
          digests.push(image.digest);
          const pushed = await kiln.json<Transferred>('push', `greeter@${version}`, to);
          // The second time all but the one layer that changed, and what describes the image, is there.
          expect(pushed.progress.movedBytes < 1_000_000).toBe(version !== '4.0.0');
        }

        await other.serve();
        for (const [index, version] of ['4.0.0', '5.0.0'].entries()) {
          const pulled = await other.run('pull', `${to}@${digests[index]}`);
          expect(pulled).toMatchObject({ code: 0, stdout: `greeter@${version}\n` });
          await other.json('check', `greeter@${version}`);
        }
        expect((await other.run('images', 'verify')).code).toBe(0);
        const sbom = JSON.parse((await other.run('sbom', 'greeter@4.0.0')).stdout);
        expect(sbom.components.map(({ purl }: { purl: string }) => purl)).toEqual([
          'pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12',
          'pkg:npm/left-pad@1.3.0',
        ]);

        await other.json('deploy', 'greeter@4.0.0', 'stage/local');
        expect(await other.ask(HOST)).toMatchObject({ status: 200, body: 'Hello from 4.0.0\n' });
        const failed = await failuresDuring(
          () => other.json('deploy', 'greeter@5.0.0', 'stage/local'),
          other,
        );
        expect(failed).toEqual([]);
        expect((await other.ask(HOST)).body).toBe('Hello from 5.0.0\n');
        await other.run('down');
      } finally {
        await other.destroy();
        await registry.remove();
      }
    },
  );

  test('its own tests run inside a container: one that failed them is never promoted', async () => {
    const folder = await exampleOnTestRuntime();
    await rewrite(path.join(folder, 'Dockerfile'), (text) =>
      text.replace('COPY server.js .', '$&\nCOPY t t'),
    );
    const baked = async (version: string, tests: string, script: string): Promise<string> => {
      await writeTree(folder, { [tests.replace('*', 'one')]: script });
      await rewrite(path.join(folder, 'kiln.yaml'), (text) =>
        text.replace(/ {2}kind: container\n(?: {2}tests: .*\n)?/, `  kind: container\n  tests: [${tests}]\n`),
      );
      await kiln.json('bake', folder, '--version', version);
      return `greeter@${version}`;
    };
    const stateOf = async (name: string) =>
      (await kiln.json<{ state: string }>('images', '--image', name)).state;

    const good = await baked('7.1.0', 't/*.sh', `${ASKS_THE_INSTANCE}\n`);
    await kiln.json('check', good);
    expect(await stateOf(good)).toBe('tested');

    const bad = await baked('7.2.0', 't/*.sh', 'test -f server.js && echo no greeting && exit 3\n');
    const failed = await kiln.run('check', bad);
    expect(failed.code).toBe(1);
    expect(failed.stdout + failed.stderr).toContain('t/one.sh: ended with exit code 3: no greeting');
    expect(await stateOf(bad)).toBe('failed');
    const refused = await kiln.run('promote', bad, 'golden');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('it failed its tests inside the image');

    const bare = await baked('7.3.0', 't/*.bats', '@test "one" { true; }\n');
    const missing = await kiln.run('check', bare);
    expect(missing.stderr).toMatch(/tool\.missing|bash, which is not to be found inside the image/);
    // Nothing is known of the image itself.
    expect(await stateOf(bare)).toBe('untested');
  });

  test.skipIf(noRegistry() !== undefined)(
    'a pipeline builds the Dockerfile of its source, and pushes what it built, once',
    async () => {
      const registry = await RegistryProcess.start();
      try {
        const folder = await exampleOnTestRuntime();
        await rewrite(path.join(folder, 'server.js'), (text) => `${text}// of a pipeline\n`);
        await writeFile(path.join(folder, 'pipeline.yaml'), buildAndPush(`${registry.host}/team/greeter`));
        const run = async () => {
          const { id } = await kiln.json<{ id: string }>('pipeline', 'run', folder);
          return kiln.json<{ status: string; output?: unknown }>('pipeline', 'show', id);
        };
        const first = await run();
        expect(first).toMatchObject({
          status: 'SUCCEEDED',
          output: {
            built: { component: 'greeter', version: '6.0.0', changed: true },
            pushed: { reference: expect.stringContaining(`${registry.host}/team/greeter`), changed: true },
          },
        });
        const answer = await fetch(`http://${registry.host}/v2/team/greeter/tags/list`);
        expect(await answer.json()).toMatchObject({ tags: expect.arrayContaining(['6.0.0']) });
        expect(await run()).toMatchObject({
          status: 'SUCCEEDED',
          output: { built: { changed: false }, pushed: { changed: false } },
        });
        // No container comes of a folder that is baked as a bundle.
        const bundle = await kiln.example('storefront');
        await writeFile(path.join(bundle, 'pipeline.yaml'), buildAndPush(`${registry.host}/team/storefront`));
        expect(await kiln.run('pipeline', 'run', bundle)).toMatchObject({
          stdout: expect.stringContaining('image.unfit'),
        });
      } finally {
        await registry.remove();
      }
    },
  );

  test('a bundle runs in a runtime image: its code never goes through an image build', async () => {
    const folder = await kiln.example('storefront');
    const runtime = await runtimeImage();
    await rewrite(path.join(folder, 'kiln.yaml'), (text) =>
      text
        .replace('  run: node server.js\n', `  run: node server.js\n  runtime: ${runtime}\n`)
        .replaceAll('/local:\n', '/local:\n    target: docker\n'),
    );
    await kiln.json('bake', folder, '--version', '1.0.0');
    await kiln.json('deploy', 'storefront@1.0.0', 'stage/local');
    const page = await kiln.ask('storefront.stage.localhost');
    expect(page.status).toBe(200);
    expect(page.body).toContain('The Kiln Shop (stage)');
    const owner = (await readFile(path.join(kiln.state, 'targets/docker/owner'), 'utf8')).trim();
    expect(await containersOf(owner)).not.toEqual([]);
    await kiln.run('down');
    expect(await containersOf(owner)).toEqual([]);
  });

  async function exampleOnTestRuntime(): Promise<string> {
    const folder = await kiln.example('greeter');
    const runtime = await runtimeImage();
    await rewrite(path.join(folder, 'kiln.yaml'), (text) => text.replace('node:24-slim" }', `${runtime}" }`));
    return folder;
  }

  async function failuresDuring(work: () => Promise<unknown>, on = kiln): Promise<readonly number[]> {
    const failed: number[] = [];
    let going = true;
    const asking = (async () => {
      while (going) {
        const { status } = await on.ask(HOST);
        if (status !== 200) failed.push(status);
      }
    })();
    await work();
    going = false;
    await asking;
    return failed;
  }
});

function buildAndPush(to: string): string {
  return `
StartAt: Build
States:
  Build:
    Type: Task
    Resource: docker.build
    Parameters: { directory.$: $.trigger.source.location, version: 6.0.0 }
    ResultPath: $.built
    Next: Push
  Push:
    Type: Task
    Resource: docker.push
    Parameters: { image.$: $.built.id, to: ${to} }
    ResultPath: $.pushed
    End: true
`;
}

async function containersOf(owner: string): Promise<readonly string[]> {
  const engine = new EngineClient(DOCKER_SOCKET);
  try {
    const query = { all: '1', ...filters({ label: [`kiln.owner=${owner}`] }) };
    const { signal } = new AbortController();
    const list = z.array(z.object({ Names: z.array(z.string()) }));
    const found = await engine.json(list, { method: 'GET', path: '/containers/json', query, signal });
    return found.flatMap(({ Names }) => Names);
  } finally {
    engine.close();
  }
}

async function rewrite(file: string, change: (text: string) => string): Promise<void> {
  await writeFile(file, change(await readFile(file, 'utf8')));
}
