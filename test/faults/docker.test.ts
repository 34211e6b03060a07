/** What must hold when the server or the Docker engine dies under containers. With an engine of the test's own, which it may kill. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EngineClient, filters } from '../../src/docker/engine-client.ts';
import { DOCKER_SOCKET, dockerAnswers, NO_DOCKER, runtimeImage } from '../docker.ts';
import { Kiln, until } from '../e2e/kiln.ts';
import { freePort } from '../free-port.ts';

const HOST = 'greeter.stage.localhost';
const SCRIPT = path.join(import.meta.dirname, '../../scripts/docker-engine.sh');
const never = new AbortController().signal;
/** Only root may start an engine. */
const runs = dockerAnswers && process.getuid?.() === 0;

if (!runs) test.skip(`faults of containers: ${dockerAnswers ? 'needs root' : NO_DOCKER}`);

describe.runIf(runs)('containers', { timeout: 240_000 }, () => {
  let folder: string;
  let kiln: Kiln;
  let engine: EngineClient;
  let runtime: string;
  const shell = (verb: string): void => void execFileSync('sh', [SCRIPT, verb, folder], { stdio: 'pipe' });

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'kiln-engine-'));
    shell('start');
    const socket = path.join(folder, 'docker.sock');
    engine = new EngineClient(socket);
    runtime = await runtimeImage();
    const shared = new EngineClient(DOCKER_SOCKET);
    const body = await shared.open({ method: 'GET', path: `/images/${runtime}/get`, signal: never });
    await engine.send({ method: 'POST', path: '/images/load', query: { quiet: '1' }, body, signal: never });
    shared.close();
    // The address stays the same, so that whoever follows work finds the next server.
    const listen = `127.0.0.1:${await freePort()}`;
    kiln = await Kiln.create({ environment: { KILN_DOCKER_SOCKET: socket, KILN_LISTEN: listen } });
    await kiln.serve();
    const component = await kiln.example('greeter');
    await rewriteRuntime(path.join(component, 'kiln.yaml'));
    await kiln.json('bake', component, '--version', '1.0.0');
  }, 240_000);
  afterAll(async () => {
    await kiln?.destroy();
    engine?.close();
    shell('stop');
    await rm(folder, { recursive: true, force: true });
  });

  async function rewriteRuntime(file: string): Promise<void> {
    const text = (await readFile(file, 'utf8')).replace('node:24-slim" }', `${runtime}" }`);
    await writeFile(file, text.replace('  port: 8080\n', '  port: 8080\n  instances: 2\n'));
  }

  async function imageNames(): Promise<readonly string[]> {
    const list = z.array(z.object({ RepoTags: z.array(z.string()).nullable() }));
    const found = await engine.json(list, { method: 'GET', path: '/images/json', signal: never });
    return found.flatMap(({ RepoTags }) => RepoTags ?? []).sort();
  }

  async function containers(): Promise<readonly string[]> {
    const query = { all: '1', ...filters({ label: ['kiln.owner'] }) };
    const list = z.array(z.object({ Id: z.string(), State: z.string() }));
    const found = await engine.json(list, { method: 'GET', path: '/containers/json', query, signal: never });
    return found.map(({ State }) => State);
  }

  async function answers(): Promise<boolean> {
    const answer = await kiln.ask(HOST).catch(() => undefined);
    return answer?.body === 'Hello from 1.0.0\n';
  }

  test('a server killed at any moment of launching: the next one goes on, and no container is one too many', async () => {
    for (const pauseMs of [0, 250]) {
      const begun = await containers();
      const deploying = kiln.run('deploy', 'greeter@1.0.0', 'stage/local');
      await until('a container has been made', async () => (await containers()).length > begun.length);
      await sleep(pauseMs);
      await kiln.kill();
      await kiln.serve();
      await deploying;
      await until('it serves', answers);
      await until('there are two', async () => (await containers()).join() === 'running,running');
      await kiln.json('stop', 'greeter', 'stage/local');
      await until('there are none', async () => (await containers()).length === 0);
    }
  });

  test('a server killed in the middle of a build: the next build leaves none of its names', async () => {
    const component = await kiln.example('greeter');
    const file = path.join(component, 'Dockerfile');
    const dockerfile = await readFile(file, 'utf8');
    await rewriteRuntime(path.join(component, 'kiln.yaml'));
    await writeFile(file, `${dockerfile}\nRUN sleep 600\n`);
    const baking = kiln.run('bake', component, '--version', '2.0.0');
    const names = async () => (await imageNames()).filter((name) => name.includes(':bake-'));
    await until('its bases have names', async () => (await names()).length > 0);
    await kiln.kill();
    expect(await names()).not.toEqual([]);
    await kiln.serve();
    await baking;
    await writeFile(file, `${dockerfile}\nRUN true\n`);
    await kiln.json('bake', component, '--version', '2.0.0');
    expect(await names()).toEqual([]);
    // The base is as it was.
    expect(await imageNames()).toEqual(expect.arrayContaining([runtime, 'kiln-build-greeter:latest']));
  });

  test('an engine that dies takes its containers along; when it is back they are replaced, and nothing is left', async () => {
    await kiln.json('deploy', 'greeter@1.0.0', 'stage/local');
    shell('kill');
    const status = await kiln.run('status');
    expect(status.stdout + status.stderr).toContain('target.unavailable');
    shell('again');
    await until(
      'two run again, and no other is left',
      async () => {
        return (await answers()) && (await containers()).join() === 'running,running';
      },
      120_000,
    );
    expect((await kiln.run('status')).code).toBe(0);
  });
});
