/** Containers from the bake to live traffic: an image from a Dockerfile, and a bundle in a runtime image. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EngineClient, filters } from '../../src/docker/engine-client.ts';
import { DOCKER_SOCKET, dockerAnswers, NO_DOCKER, runtimeImage } from '../docker.ts';
import { Kiln } from './kiln.ts';

const HOST = 'greeter.stage.localhost';

if (!dockerAnswers) test.skip(`containers: ${NO_DOCKER}`);

describe.runIf(dockerAnswers)('containers', { timeout: 240_000 }, () => {
  let kiln: Kiln;
  beforeAll(async () => {
    kiln = await Kiln.create({ environment: { KILN_DOCKER_SOCKET: DOCKER_SOCKET } });
    await kiln.serve();
  });
  afterAll(() => kiln.destroy());

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

  async function failuresDuring(work: () => Promise<unknown>): Promise<readonly number[]> {
    const failed: number[] = [];
    let going = true;
    const asking = (async () => {
      while (going) {
        const { status } = await kiln.ask(HOST);
        if (status !== 200) failed.push(status);
      }
    })();
    await work();
    going = false;
    await asking;
    return failed;
  }
});

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
