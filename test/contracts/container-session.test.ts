/** What a build of a Dockerfile gets through its BuildKit session: files, secrets, an SSH agent, caches. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { ContainerBuilder } from '../../src/bakery/container/container-builder.ts';
import { compareContainers } from '../../src/bakery/container/container-compare.ts';
import type { BuildGrants } from '../../src/bakery/container/granted-secrets.ts';
import { readManifest } from '../../src/bakery/oci-layout.ts';
import { readComponent } from '../../src/component/read.ts';
import { EngineClient } from '../../src/docker/engine-client.ts';
import type { Digest } from '../../src/domain/ids.ts';
import { storedDigest } from '../../src/domain/image.ts';
import { DOCKER_SOCKET, dockerAnswers, NO_DOCKER, runtimeImage, shellImage } from '../docker.ts';
import { NEVER, scratch, writeTree } from '../e2e/bake-fixture.ts';
import { until } from '../e2e/kiln.ts';
import { plainEngine } from '../plain-engine.ts';

const COMPONENT = `session-${process.pid}`;
const SECRET = 'nobody-may-see-this';

if (!dockerAnswers) test.skip(`BuildKit: ${NO_DOCKER}`);

describe.runIf(dockerAnswers)('a build in a session', { timeout: 120_000 }, () => {
  let place: Awaited<ReturnType<typeof scratch>>;
  let source: string;
  let blobs: FileBlobStore;
  let agent: ChildProcess | undefined;
  const closers: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    place = await scratch();
    source = path.join(place.directory, 'source');
    blobs = new FileBlobStore(path.join(place.directory, 'state', 'blobs'));
    await mkdir(path.join(place.directory, 'secrets', COMPONENT), { recursive: true });
    await writeFile(path.join(place.directory, 'secrets', 'token'), 'of-all-components');
    await writeFile(path.join(place.directory, 'secrets', COMPONENT, 'token'), `${SECRET}\n`);
  });
  afterAll(async () => {
    for (const close of closers) await close();
    const engine = new EngineClient(DOCKER_SOCKET);
    const latest = {
      method: 'DELETE',
      path: `/images/kiln-build-${COMPONENT}:latest`,
      signal: NEVER,
    } as const;
    await engine.send(latest).catch(() => undefined);
    engine.close();
    agent?.kill();
    await place.remove();
  });

  function builder(grants: Partial<BuildGrants> = {}, socket = DOCKER_SOCKET): ContainerBuilder {
    const made = new ContainerBuilder({
      client: new EngineClient(socket),
      blobs,
      stateDirectory: path.join(place.directory, 'state'),
      randomId: () => crypto.randomUUID(),
      grants: { secretsFolder: path.join(place.directory, 'secrets'), sshAgent: undefined, ...grants },
    });
    closers.push(() => made.close());
    return made;
  }

  async function write(container: string, dockerfile: string): Promise<void> {
    const yaml = `component: ${COMPONENT}\nimage: {kind: container, container: ${container}}\nservice: {run: ./run}\n`;
    await writeTree(source, { 'kiln.yaml': yaml, Dockerfile: dockerfile });
  }

  async function request() {
    return { definition: (await readComponent(source)).definition, directory: source };
  }

  async function build(
    by = builder(),
  ): Promise<{ readonly digest: Digest; readonly log: readonly string[] }> {
    const log: string[] = [];
    const { artifacts } = await by.build(
      await request(),
      (progress) => log.push(progress.kind === 'output' ? progress.line : progress.name),
      NEVER,
    );
    const [artifact] = artifacts;
    if (artifact === undefined) throw new Error('one artifact is made');
    return { digest: storedDigest(artifact), log };
  }

  test('a secret is read in its step, and is in no layer, no config and no line of the log', async () => {
    await write(
      '{secrets: [token]}',
      `FROM ${await shellImage()}\nARG RUN=${process.pid}\nRUN --mount=type=secret,id=token cat /run/secrets/token; [ "$(cat /run/secrets/token)" = ${'$(echo nobody-may)'}-see-this ] && echo it is right > /proof\nRUN cat /proof; [ ! -s /run/secrets/token ]\n`,
    );
    const { digest, log } = await build();
    expect(log).toContain('it is right');
    expect(log).toContain('***');
    expect(log).toContainEqual(expect.stringContaining(`FROM ${await shellImage()}`));
    expect(log.join('\n')).not.toContain(SECRET);
    const { config, layers } = await readManifest(blobs, digest);
    for (const blob of [config, ...layers]) {
      expect((await readFile(await blobs.path(blob.digest))).includes(SECRET)).toBe(false);
    }
  });

  test('what is not granted, or not on the server, is refused before anything is built', async () => {
    const dockerfile = `FROM ${await shellImage()}\nRUN true\nRUN --mount=type=secret,id=token true\n`;
    await write('{}', dockerfile);
    await expect(builder().plan(await request(), NEVER)).rejects.toMatchObject({
      code: 'input.invalid',
      faults: [{ location: { file: 'Dockerfile', line: 3 } }],
      next: expect.stringContaining('secrets: ['),
    });
    await write('{secrets: [token, other]}', dockerfile);
    await expect(build()).rejects.toMatchObject({
      code: 'input.invalid',
      next: expect.stringContaining(path.join('secrets', COMPONENT, 'other')),
    });
    await write(
      '{ssh: true}',
      `FROM ${await shellImage()}\nARG RUN=${process.pid}\nRUN --mount=type=ssh true\n`,
    );
    await expect(build()).rejects.toMatchObject({ next: expect.stringContaining('KILN_BUILD_SSH_AGENT') });
    const gone = path.join(place.directory, 'no-agent.sock');
    await expect(build(builder({ sshAgent: gone }))).rejects.toMatchObject({ code: 'tool.missing' });
  });

  test('an SSH agent lends its keys to the step that mounts it, and to no other', async () => {
    const keys = path.join(place.directory, 'agent');
    await mkdir(keys);
    const socket = path.join(keys, 'agent.sock');
    agent = spawn('/usr/bin/ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    await until('the agent listens', async () => existsSync(socket));
    const key = path.join(keys, 'id');
    execFileSync('/usr/bin/ssh-keygen', [
      '-q',
      '-t',
      'ed25519',
      '-N',
      '',
      '-C',
      'key-of-the-test',
      '-f',
      key,
    ]);
    execFileSync('/usr/bin/ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
    // What ssh-add -l asks an agent (draft-ietf-sshm-ssh-agent, SSH_AGENTC_REQUEST_IDENTITIES).
    const program = `require('net').connect(process.env.SSH_AUTH_SOCK).on('data', function (answer) { console.log('agent:', answer.includes('key-of-the-test')); this.destroy(); }).write(Buffer.from([0, 0, 0, 1, 11]));`;
    await write(
      '{ssh: true}',
      `FROM ${await runtimeImage()}\nARG RUN=${process.pid}\nCOPY ask.js .\nRUN --mount=type=ssh node ask.js\nRUN echo without $SSH_AUTH_SOCK.\n`,
    );
    await writeTree(source, { 'ask.js': program });
    const { log } = await build(builder({ sshAgent: socket }));
    expect(log).toContain('agent: true');
    expect(log).toContain('without .');
  });

  test('a cache outlives the build; a file that changes but for its size is another', async () => {
    await write(
      '{}',
      `FROM ${await shellImage()}\nCOPY input .\nRUN --mount=type=cache,id=${COMPONENT},target=/cache cat input /cache/* ; cat input > /cache/$(cat input)\n`,
    );
    await writeTree(source, { input: 'one' });
    expect((await build()).log).not.toContain('twoone');
    await writeTree(source, { input: 'two' });
    expect((await build()).log.join('\n')).toContain('twoone');
  });

  test('an engine without BuildKit makes the same of the same files, and refuses mounts at their line', async () => {
    const plain = await plainEngine();
    closers.push(() => plain.close());
    const classic = builder({}, plain.socketPath);
    await write('{}', `FROM ${await shellImage()}\nCOPY . /app/\n`);
    await writeTree(source, {
      'deep/er/file': 'x',
      'deep-er': 'y',
      'ä € name': 'z',
      'large.bin': 'b'.repeat(3_000_000),
      '.dockerignore': 'away/*\n!away/kept\n*.md\n',
      'away/kept': 'k',
      'away/gone': 'g',
      'not.md': 'n',
    });
    await symlink('er/file', path.join(source, 'deep', 'link'));
    await mkdir(path.join(source, 'empty'));
    await chmod(path.join(source, 'deep-er'), 0o755);
    const [{ digest: one }, { digest: other }] = [await build(), await build(classic)];
    // The classic builder takes away what is ours by a rule of ours.
    const ours = { path: 'app/.dockerignore', change: 'content' };
    expect(await compareContainers(blobs, one, other)).toEqual([ours]);

    await write('{secrets: [token]}', 'FROM scratch\n\nRUN --mount=type=secret,id=token true\n');
    await expect(classic.plan(await request(), NEVER)).rejects.toMatchObject({
      code: 'target.unsupported',
      message: expect.stringContaining('Dockerfile:3'),
    });

    const silent = await plainEngine({ says: false });
    closers.push(() => silent.close());
    await expect(build(builder({}, silent.socketPath))).rejects.toMatchObject({ code: 'target.unsupported' });
    await write('{}', `FROM ${await shellImage()}\nCOPY . /app/\n`);
    expect((await build(builder({}, silent.socketPath))).log).not.toEqual([]);
  });
});
