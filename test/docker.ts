/**
 * The Docker engine that tests run containers on: the one whose socket KILN_DOCKER_SOCKET names, or the machine's. Base
 * images are made of Debian's packages, since no registry can be counted on.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { EngineClient, isRefusal } from '../src/docker/engine-client.ts';

const run = promisify(execFile);

export const DOCKER_SOCKET = process.env.KILN_DOCKER_SOCKET ?? '/var/run/docker.sock';
export const NO_DOCKER = `no Docker engine answers at ${DOCKER_SOCKET}, or images cannot be made (Debian: docker.io, mmdebstrap, curl; start dockerd)`;

const never = new AbortController().signal;

/** In CI an engine that does not answer is a failure of the tests, elsewhere a reason to skip them. */
export const dockerAnswers: boolean = process.env.CI === 'true' || answers();

function answers(): boolean {
  if (!existsSync('/usr/bin/mmdebstrap')) return false;
  try {
    const args = ['--silent', '--max-time', '5', '--unix-socket', DOCKER_SOCKET, 'http://docker/_ping'];
    return execFileSync('curl', args, { encoding: 'utf8' }) === 'OK';
  } catch {
    return false; // No curl, no socket or no engine: there is nothing to test on.
  }
}

/** Named for what makes it: another recipe makes another image. */
const BASE = 'kiln-test-base:1';
const BASE_SCRIPT = path.join(import.meta.dirname, '../scripts/docker-base.sh');

/** A shell and coreutils, as mmdebstrap makes them of Debian's packages; made once for an engine. */
export async function shellImage(): Promise<string> {
  await run('sh', [BASE_SCRIPT, DOCKER_SOCKET, BASE]);
  return BASE;
}

/** The same with this very Node; made once for an engine. */
export async function runtimeImage(): Promise<string> {
  const name = `kiln-test-runtime:${process.versions.node}`;
  const engine = new EngineClient(DOCKER_SOCKET);
  try {
    await engine.send({ method: 'GET', path: `/images/${name}/json`, signal: never });
  } catch (error) {
    if (!isRefusal(error, 404)) throw error;
    await addNode(engine, await shellImage(), name);
  } finally {
    engine.close();
  }
  return name;
}

async function addNode(engine: EngineClient, base: string, name: string): Promise<void> {
  const context = await mkdtemp(path.join(tmpdir(), 'kiln-runtime-'));
  try {
    await writeFile(path.join(context, 'Dockerfile'), `FROM ${base}\nCOPY node /usr/local/bin/node\n`);
    await cp(process.execPath, path.join(context, 'node'));
    const body = spawn('tar', ['--create', '--directory', context, '.'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }).stdout;
    await engine.send({ method: 'POST', path: '/build', query: { t: name }, body, signal: never });
    await engine.send({ method: 'GET', path: `/images/${name}/json`, signal: never });
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}
