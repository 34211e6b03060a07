/** Items and results of distributed Maps: real files, a real server that speaks S3, a real store and executor. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import zlib from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { S3 } from '../../src/amazon/s3.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { LocalArtifacts } from '../../src/pipeline/artifacts/local-artifacts.ts';
import { packFiles } from '../../src/pipeline/artifacts/packed-files.ts';
import type { Json, JsonObject } from '../../src/pipeline/asl/json.ts';
import { loadStateMachine } from '../../src/pipeline/asl/load.ts';
import { Executor } from '../../src/pipeline/executor/executor.ts';
import { replay } from '../../src/pipeline/executor/stored-state.ts';
import { MapTransfers } from '../../src/pipeline/items/map-transfers.ts';
import { readInThread } from '../../src/pipeline/items/read-in-thread.ts';
import { type Task, TaskFailed } from '../../src/pipeline/task.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { openStore } from '../../src/store/open.ts';
import { Moto, noMoto } from '../machine/moto.ts';

const BUCKET = 'items';
const THREAD = path.join(import.meta.dirname, '../../src/pipeline/items/item-thread.ts');
/** Made by hyparquet-writer 0.17: two row groups; columns in GZIP, ZSTD, SNAPPY, plain, SNAPPY. */
const PARQUET = path.join(import.meta.dirname, 'sizes.parquet');
const WAIT_MS = 60_000;
const missing = noMoto();
const signal = new AbortController().signal;
let root = '';
let source = '';
let store: Store;
let executor: Executor;
let artifacts: LocalArtifacts;
let s3: S3;
let moto: Moto | undefined;
/** While this is pending, the task `hold` waits. */
let gate = Promise.resolve();

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'kiln-items-'));
  source = path.join(root, 'source');
  await mkdir(source);
  await writeFile(path.join(root, 'secret.json'), '["secret"]');
  await symlink(path.join(root, 'secret.json'), path.join(source, 'link.json'));
  store = await openStore({ kind: 'sqlite', file: path.join(root, 'kiln.db') }, { clock: systemClock });
  artifacts = new LocalArtifacts(path.join(root, 'artifacts'), randomUUID);
  if (missing === undefined) {
    moto = await Moto.start();
    await fetch(`${moto.endpoint}/${BUCKET}`, { method: 'PUT' });
  }
  s3 = new S3({
    access: { secrets: { aws_access_key: 'id', aws_secret_key: 'secret' }, environment: {} },
    region: 'us-east-1',
    endpoint: moto?.endpoint ?? 'http://127.0.0.1:1',
    clock: systemClock,
    fetch,
  });
  executor = await started('first');
});
afterAll(async () => {
  await executor.close();
  await store.close();
  await moto?.close();
  await rm(root, { recursive: true, force: true });
});

async function started(holder: string): Promise<Executor> {
  const task = (name: string, run: Task['run']): Task => ({
    name,
    does: name,
    repeat: 'same-key',
    takesPlace: false,
    run,
  });
  const hold = task('hold', async (call, stopped) => {
    const { promise, reject } = Promise.withResolvers<never>();
    stopped.addEventListener('abort', () => reject(stopped.reason));
    await Promise.race([gate, promise]);
    return call.arguments;
  });
  const picky = task('picky', async (call) => {
    if (JSON.stringify(call.arguments).includes('bad')) throw new TaskFailed('Bad', 'as told');
    return call.arguments;
  });
  const packing = { temporary: path.join(root, 'tmp'), searchPath: process.env.PATH ?? '/usr/bin:/bin' };
  const made = new Executor({
    store: store.executions,
    events: store.events,
    clock: systemClock,
    log: { warn: console.error },
    holder,
    shares: false,
    randomBytes,
    tasks: new Map([
      ['hold', hold],
      ['picky', picky],
    ]),
    taskName: (resource) => resource,
    transfers: new MapTransfers({
      s3,
      readFile: (file, stopped) => readInThread(THREAD, file, stopped),
      keep: async (files, stopped) => {
        const fill = (descriptor: number) => packFiles(files, descriptor, packing, stopped);
        return (await artifacts.write(fill, 1_000_000, stopped))?.digest ?? '';
      },
    }),
    places: 4,
  });
  await made.start();
  return made;
}

function each(reader: Json, more: JsonObject = {}, resource = 'picky'): JsonObject {
  const processor = {
    ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' },
    StartAt: 'One',
    States: { One: { Type: 'Task', Resource: resource, End: true } },
  };
  const Catch = [{ ErrorEquals: ['States.ALL'], Next: 'Sorry' }];
  return {
    StartAt: 'Each',
    States: {
      Each: { Type: 'Map', ItemReader: reader, ItemProcessor: processor, Catch, End: true, ...more },
      Sorry: { Type: 'Pass', End: true },
    },
  };
}

let count = 0;
async function begin(definition: JsonObject, role: 'deployer' | 'viewer' = 'deployer'): Promise<string> {
  count += 1;
  const id = `e${count}`;
  const input = { trigger: { source: { location: source } } };
  const machine = await executor.machines.put(await loadStateMachine(definition));
  const rights = { role, environments: [] };
  const origin = { id, pipeline: 'shop', definition: machine, input, rights, priority: 0 };
  await store.executions.create(origin, 'queue', { actor: 'alice', atMs: systemClock.now() });
  return id;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const limit = Date.now() + WAIT_MS;
  while (!(await holds())) {
    if (Date.now() > limit) throw new Error(`not within ${WAIT_MS} ms: ${what}`);
    await sleep(20);
  }
}

async function ended(id: string): Promise<Json> {
  await until(`${id} has ended`, async () => (await store.executions.get(id))?.endedAtMs !== undefined);
  const record = await store.executions.get(id);
  if (record === undefined) throw new Error(`there is no ${id}`);
  const machine = await executor.machines.get(record.definition);
  return (await replay(machine, record, await store.executions.events(id))).execution.output ?? null;
}

const run = async (...given: Parameters<typeof begin>) => ended(await begin(...given));

it('items of a file are the same after a crash, whatever it holds by then', async () => {
  await writeFile(path.join(source, 'items.jsonl'), '{"n": 1}\n{"n": 2}\n\n{"n": 3}\n');
  const held = Promise.withResolvers<void>();
  gate = held.promise;
  const reader = {
    Resource: 'file.read',
    ReaderConfig: { InputType: 'JSONL' },
    Parameters: { Path: 'items.jsonl' },
  };
  const id = await begin(each(reader, { MaxConcurrency: 1 }, 'hold'));
  const isRead = async () => JSON.stringify(await store.executions.events(id)).includes('itemsRead');
  await until('the items are read', isRead);
  await executor.close();
  await writeFile(path.join(source, 'items.jsonl'), '{"n": 9}\n');
  held.resolve();
  executor = await started('second');
  expect(await ended(id)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
});

it('files of the source are read and listed, and results are an artifact that commands can take', async () => {
  await mkdir(path.join(source, 'data/deep'), { recursive: true });
  await writeFile(path.join(source, 'data/b.csv'), 'name,size\n"a, b",1\nbad,2\n');
  await writeFile(path.join(source, 'data/deep/a.json'), '{"list": ["x", "y", "z"]}');
  const listed = await run(each({ Resource: 'file.list', Parameters: { Prefix: 'data/' } }));
  expect(listed).toMatchObject([{ Key: 'data/b.csv', Size: 25 }, { Key: 'data/deep/a.json' }]);
  const pointed = { InputType: 'JSON', ItemsPointer: '/list', MaxItems: 2 };
  const json = { Resource: 'file.read', ReaderConfig: pointed, Parameters: { Path: 'data/deep/a.json' } };
  expect(await run(each(json))).toEqual(['x', 'y']);

  const csv = {
    Resource: 'file.read',
    ReaderConfig: { InputType: 'CSV', CSVHeaderLocation: 'FIRST_ROW' },
    Parameters: { Path: 'data/b.csv' },
  };
  const written = (await run(
    each(csv, {
      ResultWriter: { Resource: 'file.write', Parameters: { Prefix: 'out' } },
      ToleratedFailureCount: 1,
    }),
  )) as JsonObject;
  const details = written.ResultWriterDetails as JsonObject;
  expect(details).toMatchObject({ Key: expect.stringMatching(/^out\/[0-9a-f-]{36}\/manifest\.json$/) });
  const folder = path.join(root, 'unpacked');
  await mkdir(folder);
  await artifacts.read(
    String(details.Artifact),
    async (descriptor) => execFileSync('tar', ['-x', '-C', folder], { stdio: [descriptor, 'pipe', 'pipe'] }),
    signal,
  );
  const read = async (key: unknown) => JSON.parse(await readFile(path.join(folder, String(key)), 'utf8'));
  const manifest = await read(details.Key);
  expect(manifest).toMatchObject({ MapRunArn: written.MapRunArn, ResultFiles: { PENDING: [] } });
  const { SUCCEEDED: [good] = [], FAILED: [bad] = [] } = manifest.ResultFiles;
  const row = JSON.stringify({ name: 'a, b', size: '1' });
  expect(await read(good.Key)).toMatchObject([{ Input: row, Output: row, Status: 'SUCCEEDED' }]);
  expect(await read(bad.Key)).toMatchObject([{ Status: 'FAILED', Error: 'Bad', Cause: 'as told' }]);
});

const put = (key: string, content: string | Uint8Array<ArrayBuffer>) =>
  s3.put(BUCKET, key, new Blob([content]), createHash('sha256').update(content).digest('hex'), signal);

const SIZES = [
  { name: 'one', size: 1, ratio: 0.5, at: '2026-01-01T00:00:00.000Z', more: { a: [1] } },
  // JSON's numbers end before.
  { name: 'two', size: '9007199254740993', ratio: 1.25, at: '2026-01-01T01:00:00.000Z', more: { a: [] } },
  { name: null, size: 3, ratio: -2, at: '2026-01-01T02:00:00.000Z', more: { a: [2, 3] } },
  { name: 'four', size: 4, ratio: 1e300, at: '2026-01-01T03:00:00.000Z', more: { a: [4] } },
];

it('rows of Parquet are items, and so is what is packed, or in all the files of a listing', async () => {
  await mkdir(path.join(source, 'lake'));
  await copyFile(PARQUET, path.join(source, 'lake/sizes.parquet'));
  const parquet = (more: JsonObject) => ({
    Resource: 'file.read',
    ReaderConfig: { InputType: 'PARQUET', ...more },
    Parameters: { Path: 'lake/sizes.parquet' },
  });
  expect(await run(each(parquet({})))).toEqual(SIZES);
  expect(await run(each(parquet({ MaxItems: 2 })))).toEqual(SIZES.slice(0, 2));

  await mkdir(path.join(source, 'packed'));
  await writeFile(path.join(source, 'packed/1.jsonl.gz'), zlib.gzipSync('{"n": 1}\n{"n": 2}\n'));
  await writeFile(path.join(source, 'packed/2.jsonl.zst'), zlib.zstdCompressSync('{"n": 3}\n'));
  await writeFile(path.join(source, 'packed/3.jsonl'), '{"n": 4}\n{"n": 5}\n');
  const all = (MaxItems: number) => ({
    Resource: 'file.list',
    ReaderConfig: { InputType: 'JSONL', Transformation: 'LOAD_AND_FLATTEN', MaxItems },
    Parameters: { Prefix: 'packed/' },
  });
  expect(await run(each(all(4)))).toEqual([1, 2, 3, 4].map((n) => ({ n })));
});

it.skipIf(missing !== undefined)('a manifest names the files in S3 that hold the items', async () => {
  const got = (Key: string, ReaderConfig: JsonObject, more: JsonObject = {}) => ({
    Resource: 'arn:aws:states:::s3:getObject',
    ReaderConfig,
    Parameters: { Bucket: BUCKET, Key, ...more },
  });
  const rows = (...keys: string[]) => zlib.gzipSync(keys.map((key) => `"photos","${key}","7"\n`).join(''));
  await put('inventory/data/a.csv.gz', Buffer.from(rows('one.jpg', 'two%2C.jpg')));
  await put('inventory/data/b.csv.gz', Buffer.from(rows('three.jpg')));
  const inventory = {
    sourceBucket: 'photos',
    destinationBucket: `arn:aws:s3:::${BUCKET}`,
    version: '2016-11-30',
    fileFormat: 'CSV',
    fileSchema: 'Bucket, Key, Size',
    files: [{ key: 'inventory/data/a.csv.gz' }, { key: 'inventory/data/b.csv.gz' }],
  };
  await put('inventory/manifest.json', JSON.stringify(inventory));
  const photos = ['one.jpg', 'two%2C.jpg', 'three.jpg'].map((Key) => ({ Bucket: 'photos', Key, Size: '7' }));
  expect(await run(each(got('inventory/manifest.json', { InputType: 'MANIFEST' })))).toEqual(photos);
  const limited = { ManifestType: 'S3_INVENTORY', MaxItems: 1 };
  expect(await run(each(got('inventory/manifest.json', limited)))).toEqual(photos.slice(0, 1));

  await put('unload/1', await readFile(PARQUET));
  await put('unload-manifest.csv', `s3://${BUCKET}/unload/1\ns3://${BUCKET}/unload/1\n`);
  const athena = got('unload-manifest.csv', { ManifestType: 'ATHENA_DATA', InputType: 'PARQUET' });
  expect(await run(each(athena))).toEqual([...SIZES, ...SIZES]);
  // Of the source, too: but who is lent no keys reads nothing of a bucket through it.
  await writeFile(path.join(source, 'unload.csv'), `s3://${BUCKET}/unload/1\n`);
  const local = {
    Resource: 'file.read',
    ReaderConfig: { ManifestType: 'ATHENA_DATA', InputType: 'PARQUET', MaxItems: 1 },
    Parameters: { Path: 'unload.csv' },
  };
  expect(await run(each(local))).toEqual(SIZES.slice(0, 1));
  expect(await run(each(local), 'viewer')).toMatchObject({ Cause: expect.stringContaining('lent no keys') });

  const endpoint = moto?.endpoint ?? '';
  const versioning = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>';
  await fetch(`${endpoint}/${BUCKET}?versioning`, { method: 'PUT', body: versioning });
  const older = await fetch(`${endpoint}/${BUCKET}/list.json`, { method: 'PUT', body: '["old"]' });
  await put('list.json', '["new"]');
  const VersionId = older.headers.get('x-amz-version-id') ?? '';
  expect(await run(each(got('list.json', {}, { VersionId })))).toEqual(['old']);
  expect(await run(each(got('list.json', {})))).toEqual(['new']);
});

it.skipIf(missing !== undefined)('items come from S3 and results go there, in batches', async () => {
  await put('in/items.csv', 'one\ntwo\nthree\n');
  await put('in/more.json', '[]');
  const reader = {
    Resource: 'arn:aws:states:::s3:getObject',
    ReaderConfig: { InputType: 'CSV', CSVHeaderLocation: 'GIVEN', CSVHeaders: ['word'] },
    Parameters: { Bucket: BUCKET, Key: 'in/items.csv' },
  };
  const written = (await run(
    each(reader, {
      ItemBatcher: { MaxItemsPerBatch: 2 },
      ResultWriter: {
        Resource: 'arn:aws:states:::s3:putObject',
        WriterConfig: { OutputType: 'JSONL', Transformation: 'COMPACT' },
        Parameters: { Bucket: BUCKET, Prefix: 'out' },
      },
    }),
  )) as JsonObject;
  const details = written.ResultWriterDetails as { readonly Bucket: string; readonly Key: string };
  expect(details.Bucket).toBe(BUCKET);
  const text = async (key: string) => {
    let found = '';
    for await (const piece of s3.get(BUCKET, key, 10_000, signal)) found += Buffer.from(piece).toString();
    return found;
  };
  const manifest = JSON.parse(await text(details.Key));
  expect(manifest.DestinationBucket).toBe(BUCKET);
  expect(manifest.ResultFiles.FAILED).toEqual([]);
  const results = await text(manifest.ResultFiles.SUCCEEDED[0].Key);
  expect(
    results
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([{ Items: [{ word: 'one' }, { word: 'two' }] }, { Items: [{ word: 'three' }] }]);
  const lister = {
    Resource: 'arn:aws:states:::s3:listObjectsV2',
    Parameters: { Bucket: BUCKET, Prefix: 'in/' },
  };
  expect(await run(each(lister))).toMatchObject([
    { Key: 'in/items.csv', Size: 14, StorageClass: 'STANDARD' },
    { Key: 'in/more.json', Size: 2 },
  ]);
});

it('what cannot be read or written fails by its name, with the cause', async () => {
  const file = (Path: string) => each({ Resource: 'file.read', Parameters: { Path } });
  const failed = (error: string, cause: string) => ({ Error: error, Cause: expect.stringContaining(cause) });
  const unread = (cause: string) => failed('States.ItemReaderFailed', cause);
  await writeFile(path.join(source, 'broken.json'), '[1, 2');
  expect(await run(file('none.json'))).toMatchObject(unread('There is no none.json'));
  expect(await run(file('../secret.json'))).toMatchObject(unread('is not in the source'));
  expect(await run(file('link.json'))).toMatchObject(unread('is not in the source'));
  expect(await run(file('broken.json'))).toMatchObject(unread('not valid JSON'));
  expect(await run(each({ Resource: 'file.read' }))).toMatchObject(unread('Path'));
  const formed = (Path: string, ReaderConfig: JsonObject) =>
    each({ Resource: 'file.read', ReaderConfig, Parameters: { Path } });
  const whole = await readFile(PARQUET);
  await writeFile(path.join(source, 'cut.parquet'), whole.subarray(0, 600));
  await writeFile(path.join(source, 'rotten.parquet'), Buffer.from(whole).fill(0xff, 8, 300));
  await writeFile(path.join(source, 'bomb.json'), zlib.gzipSync(Buffer.alloc(33 * 1024 * 1024, ' ')));
  const asParquet = { InputType: 'PARQUET' };
  expect(await run(formed('cut.parquet', asParquet))).toMatchObject(unread('no Parquet file'));
  expect(await run(formed('rotten.parquet', asParquet))).toMatchObject(unread('Parquet file cannot be read'));
  expect(await run(file('bomb.json'))).toMatchObject(unread('when unpacked'));
  // The length of a page is such that its reader never comes to an end: only the thread's own end ends it.
  const endless = Buffer.from(whole).fill(224, 15, 16);
  const read = readInThread(THREAD, { bytes: endless, config: asParquet, most: 9 }, AbortSignal.timeout(300));
  await expect(read).rejects.toMatchObject({ name: 'TimeoutError' });
  const asInventory = { InputType: 'MANIFEST' };
  expect(await run(formed('broken.json', asInventory))).toMatchObject(
    unread('no manifest of an S3 Inventory'),
  );
  const asAthena = { ManifestType: 'ATHENA_DATA', InputType: 'JSONL' };
  expect(await run(formed('broken.json', asAthena))).toMatchObject(unread('Line 1 of the manifest'));
  const bucket = {
    Resource: 'arn:aws:states:::s3:getObject',
    Parameters: { Bucket: BUCKET, Key: 'none.json' },
  };
  expect(await run(each(bucket), 'viewer')).toMatchObject(unread('lent no keys'));
  await writeFile(path.join(source, 'good.json'), '[1]');
  const out = { ResultWriter: { Resource: 'file.write', Parameters: { Prefix: '../out' } } };
  const reader = { Resource: 'file.read', Parameters: { Path: 'good.json' } };
  expect(await run(each(reader, out))).toMatchObject(
    failed('States.ResultWriterFailed', 'leads nowhere else'),
  );
});
