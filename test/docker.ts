/**
 * The Docker engine that tests run containers on: the one whose socket KILN_DOCKER_SOCKET names, or the machine's. Base
 * images are made here of the machine's own files, since no registry can be counted on.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { EngineClient, isRefusal } from '../src/docker/engine-client.ts';

const run = promisify(execFile);

export const DOCKER_SOCKET = process.env.KILN_DOCKER_SOCKET ?? '/var/run/docker.sock';
export const NO_DOCKER = `no Docker engine answers at ${DOCKER_SOCKET} (Debian: docker.io; start dockerd)`;

const never = new AbortController().signal;

/** In CI an engine that does not answer is a failure of the tests, elsewhere a reason to skip them. */
export const dockerAnswers: boolean = process.env.CI === 'true' || answers();

function answers(): boolean {
  try {
    const args = ['--silent', '--max-time', '5', '--unix-socket', DOCKER_SOCKET, 'http://docker/_ping'];
    return execFileSync('curl', args, { encoding: 'utf8' }) === 'OK';
  } catch {
    return false; // No curl, no socket or no engine: there is nothing to test on.
  }
}

/** Programs that the tests' own programs and scripts need. */
const PROGRAMS = ['/bin/sh', '/bin/cat', '/bin/sleep', '/bin/ls', '/bin/true'];

/** An image with a shell, a few programs and this very Node; made once for an engine. */
export function runtimeImage(): Promise<string> {
  return baseImage('runtime', [...PROGRAMS, process.execPath]);
}

/** The same without Node, which is small. */
export function shellImage(): Promise<string> {
  return baseImage('shell', PROGRAMS);
}

async function baseImage(kind: string, programs: readonly string[]): Promise<string> {
  const tag = createHash('sha256')
    .update(`${process.version} ${programs.join()} 2`)
    .digest('hex')
    .slice(0, 12);
  const name = `kiln-test-${kind}:${tag}`;
  const engine = new EngineClient(DOCKER_SOCKET);
  try {
    await engine.send({ method: 'GET', path: `/images/${name}/json`, signal: never });
  } catch (error) {
    if (!isRefusal(error, 404)) throw error;
    await importBase(engine, name, programs);
  } finally {
    engine.close();
  }
  return name;
}

async function importBase(engine: EngineClient, name: string, programs: readonly string[]): Promise<void> {
  const root = await mkdtemp(path.join(tmpdir(), 'kiln-runtime-'));
  try {
    for (const folder of ['usr/bin', 'usr/local/bin', 'etc', 'tmp']) {
      await mkdir(path.join(root, folder), { recursive: true });
    }
    await symlink('usr/bin', path.join(root, 'bin'));
    await writeFile(
      path.join(root, 'etc/passwd'),
      'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n',
    );
    for (const program of programs) {
      const place = PROGRAMS.includes(program) ? `usr${program}` : `usr/local/bin/${path.basename(program)}`;
      await cp(program, path.join(root, place), { dereference: true });
    }
    for (const library of await libraries(programs)) {
      await cp(library, path.join(root, library), { dereference: true });
    }
    const [repo = '', tag = ''] = name.split(':');
    const tar = spawn('tar', ['--create', '--directory', root, '.'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await engine.send({
      method: 'POST',
      path: '/images/create',
      query: { fromSrc: '-', repo, tag },
      body: tar.stdout,
      signal: never,
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function libraries(programs: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await run('ldd', [...programs]);
  return [...new Set([...stdout.matchAll(/(\/\S+\.so\S*) \(0x/g)].map(([, file = '']) => file))];
}
