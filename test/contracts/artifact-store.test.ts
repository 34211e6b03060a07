/** What every store of artifacts keeps to: a folder of this machine, and a bucket of a real server that speaks S3. */
import { createHash, randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S3 } from '../../src/amazon/s3.ts';
import type { ArtifactStore } from '../../src/domain/ports/artifacts.ts';
import { LocalArtifacts } from '../../src/pipeline/artifacts/local-artifacts.ts';
import type { CommandWish } from '../../src/pipeline/commands/command-wish.ts';
import { JobFiles } from '../../src/pipeline/workers/job-files.ts';
import { JobArtifacts } from '../../src/pipeline/workers/job-transfers.ts';
import { openArtifacts } from '../../src/server/artifacts.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { loadSettings } from '../../src/settings.ts';
import { Moto, noMoto } from '../machine/moto.ts';
import { PLAIN_COMMAND } from '../pipeline/plain-command.ts';

const BUCKET = 'artifacts';
const HELLO = 'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';
const NONE = `sha256:${'0'.repeat(64)}`;
const LIMIT = 1_000;
const missing = noMoto();
const signal = new AbortController().signal;
let root = '';
let moto: Moto | undefined;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'kiln-artifacts-'));
  if (missing !== undefined) return;
  const settings = `artifacts: {s3: {bucket: ${BUCKET}, prefix: of-us}}`;
  await writeFile(path.join(root, 'settings.yaml'), settings);
  moto = await Moto.start();
  await fetch(`${moto.endpoint}/${BUCKET}`, { method: 'PUT' });
});
afterAll(async () => {
  await moto?.close();
  await rm(root, { recursive: true, force: true });
});

function s3(endpoint = moto?.endpoint ?? ''): S3 {
  const access = { secrets: { aws_access_key: 'id', aws_secret_key: 'secret' }, environment: {} };
  return new S3({ access, region: 'us-east-1', endpoint, clock: systemClock, fetch });
}

interface Subject {
  readonly store: () => ArtifactStore;
  readonly folder: () => string;
  readonly damage: () => Promise<void>;
}

const local: Subject = {
  folder: () => path.join(root, 'local'),
  store: () => new LocalArtifacts(path.join(root, 'local'), randomUUID),
  damage: () => writeFile(path.join(root, 'local', `${HELLO.replace(':', '-')}.tar`), 'other'),
};
const key = `of-us/sha256/${HELLO.slice(7)}`;
/** As a server has it, by its settings and environment. */
const bucket: Subject = {
  folder: () => path.join(root, 'pipelines/artifact-drafts'),
  store: () => {
    const env = {
      AWS_ACCESS_KEY_ID: 'id',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_ENDPOINT_URL_S3: moto?.endpoint,
    };
    const settings = loadSettings({ state: root }, env);
    return openArtifacts(
      settings,
      { file: (...names) => path.join(root, ...names) },
      '',
      async (_, given) => given,
    ).artifacts;
  },
  damage: () => {
    const other = createHash('sha256').update('other').digest('hex');
    return s3().put(BUCKET, key, new Blob(['other']), other, signal);
  },
};

/** As a worker has it that does a job: each time another one, which has no copies yet. */
function throughJob(kept: Subject): Subject {
  const store = () => {
    const folder = path.join(root, 'jobs', randomUUID());
    const wish = jobWish({ hello: HELLO, none: NONE });
    const nowhere = { bring: async () => undefined };
    const files = new JobFiles(
      {
        artifacts: kept.store(),
        sources: nowhere,
        clock: systemClock,
        searchPath: '',
        newId: randomUUID,
        folder,
      },
      wish,
      signal,
    );
    const line: ConstructorParameters<typeof JobArtifacts>[1] = {
      fetch: async function* (_, digest, offset) {
        yield* await files.read(digest, offset, signal);
      },
      send: (_, piece) => files.write(piece),
      keep: (_, artifact) => files.keep(artifact),
    };
    const copies = new LocalArtifacts(path.join(folder, 'copies'), randomUUID);
    return new JobArtifacts(copies, line, {
      ...{ id: 'a.b', lease: 'c', key: 'd/e', execution: 'd', pipeline: 'p', state: 'S', mayChange: true },
      ...{ wish, sourceTravels: false, secretValues: {}, silentMs: 1_000 },
    });
  };
  return { ...kept, store };
}

function jobWish(inputs: Readonly<Record<string, string>>): CommandWish {
  return { ...PLAIN_COMMAND, inputs, artifacts: { hello: ['.'] } };
}

const writing = (text: string) => async (descriptor: number) => {
  writeSync(descriptor, text);
};
const reading = async (descriptor: number) => readFile(`/proc/self/fd/${descriptor}`, 'utf8');

const subjects: readonly (readonly [string, Subject])[] = [
  ['a folder', local],
  ['a folder, for the job of a worker', throughJob(local)],
  ...(missing === undefined
    ? ([
        ['a bucket', bucket],
        ['a bucket, for the job of a worker', throughJob(bucket)],
      ] as const)
    : []),
];

describe.each(subjects)('artifacts in %s', (_, { store, folder, damage }) => {
  it('are found by their digest, whoever wrote them, and leave no drafts', async () => {
    const kept = await store().write(writing('hello'), LIMIT, signal);
    expect(kept).toEqual({ digest: HELLO, sizeBytes: 5 });
    expect(await store().write(writing('hello'), LIMIT, signal)).toEqual(kept);
    expect(await store().read(HELLO, reading, signal)).toBe('hello');
    await store().trim(systemClock.now());
    expect(await store().read(HELLO, reading, signal)).toBe('hello');
    const drafts = await readdir(folder(), { recursive: true, withFileTypes: true });
    expect(drafts.filter((entry) => entry.isFile() && !entry.name.endsWith('.tar'))).toEqual([]);
  });

  it('are not there when there is none, is too much, or its writer failed', async () => {
    expect(await store().read(NONE, reading, signal)).toBeUndefined();
    expect(await store().write(writing('too much'), 3, signal)).toBeUndefined();
    const failing = store().write(() => Promise.reject(new Error('as told')), LIMIT, signal);
    await expect(failing).rejects.toThrow('as told');
  });

  it('that are damaged are never given out', async () => {
    await store().write(writing('hello'), LIMIT, signal);
    await damage();
    await expect(store().read(HELLO, reading, signal)).rejects.toMatchObject({ code: 'blob.damaged' });
    await store().write(writing('hello'), LIMIT, signal);
    expect(await store().read(HELLO, reading, signal)).toBe('hello');
  });
});

describe.skipIf(missing !== undefined)('S3', () => {
  const all = async <Value>(values: AsyncIterable<Value>): Promise<Value[]> => {
    const found: Value[] = [];
    for await (const value of values) found.push(value);
    return found;
  };

  it('takes any key, and lists what begins so', async () => {
    for (const name of ['list/a & <b>.txt', "list/ü'(1)*+.txt", 'other'])
      await s3().put(BUCKET, name, new Blob(['hello']), HELLO.slice(7), signal);
    const listed = await all(s3().list(BUCKET, 'list/', signal));
    expect(listed.map((one) => one.key)).toEqual(['list/a & <b>.txt', "list/ü'(1)*+.txt"]);
    expect(listed[0]).toMatchObject({ sizeBytes: 5, storageClass: 'STANDARD' });
    for (const one of listed)
      expect(Buffer.concat(await all(s3().get(BUCKET, one.key, LIMIT, signal))).toString()).toBe('hello');
  });

  it('says what is wrong: no object, no bucket, too large, nobody there', async () => {
    const get = (name: string, from = BUCKET, limit = LIMIT) => all(s3().get(from, name, limit, signal));
    await s3().put(BUCKET, 'here', new Blob(['hello']), HELLO.slice(7), signal);
    await expect(get('missing')).rejects.toMatchObject({ code: 'not-found' });
    await expect(get('here', 'no-such-bucket')).rejects.toMatchObject({
      code: 'target.rejected',
      details: { amazon: 'NoSuchBucket' },
    });
    await expect(get('here', BUCKET, 3)).rejects.toMatchObject({ code: 'input.too-large' });
    await expect(get('../other')).rejects.toMatchObject({ code: 'input.invalid' });
    const nobody = all(s3('http://127.0.0.1:1').get(BUCKET, 'here', LIMIT, signal));
    await expect(nobody).rejects.toMatchObject({ code: 'target.unavailable' });
  });
});
