import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DEFAULT_RETENTION } from './domain/retention.ts';
import { loadSettings, type Settings } from './settings.ts';

let state: string;
beforeEach(async () => {
  state = await mkdtemp(path.join(tmpdir(), 'kiln-settings-'));
});
afterEach(() => rm(state, { recursive: true, force: true }));

async function loaded(text: string): Promise<Settings> {
  await writeFile(path.join(state, 'settings.yaml'), text);
  return loadSettings({ state }, {});
}

test('the rules of the janitor are those of the file, and the defaults where it says nothing', async () => {
  expect(loadSettings({ state }, {}).retention).toEqual(DEFAULT_RETENTION);
  expect((await loaded('janitor: {unusedDays: 10, noticeWorkingDays: 5, share: 0.02}')).retention).toEqual({
    ...DEFAULT_RETENTION,
    unusedMs: 10 * 24 * 3600_000,
    noticeWorkingDays: 5,
    share: 0.02,
  });
  expect((await loaded('janitor: {share: 1}')).retention).toEqual({ ...DEFAULT_RETENTION, share: 1 });
});

test('how pipelines run and are kept is what the file says, and the defaults where it says nothing', async () => {
  const { pipelineTasks, longestExecutionMs, taskLimitSeconds, keepExecutions } = loadSettings({ state }, {});
  expect([pipelineTasks, longestExecutionMs, taskLimitSeconds]).toEqual([8, 30 * 24 * 3600_000, {}]);
  expect(keepExecutions).toEqual({ all: { executions: 1_000, days: 180 }, of: {} });
  const text =
    'pipelines: {tasks: 3, longestDays: 2, limitSeconds: {docker.build: 60}, keep: {days: 90}, keepOf: {shop: {executions: 9}}}';
  expect(await loaded(text)).toMatchObject({
    pipelineTasks: 3,
    longestExecutionMs: 2 * 24 * 3600_000,
    taskLimitSeconds: { 'docker.build': 60 },
    keepExecutions: { all: { executions: 1_000, days: 90 }, of: { shop: { executions: 9 } } },
  });
});

test('other servers are sent tokens over TLS, or within this machine', () => {
  const peerUrl = (KILN_PEER_URL: string) => loadSettings({ state }, { KILN_PEER_URL }).peerUrl;
  expect(peerUrl('https://kiln-1.example.com:7070/')).toBe('https://kiln-1.example.com:7070');
  expect(peerUrl('http://127.0.0.1:7071')).toBe('http://127.0.0.1:7071');
  for (const text of ['http://kiln-1.example.com:7070', 'kiln-1:7070', 'https://kiln-1.example.com/a'])
    expect(() => peerUrl(text)).toThrow(expect.objectContaining({ code: 'input.invalid' }));
});

test.each([
  ['janitor: {share: 0}', 'janitor.share'],
  ['janitor: {unusedDays: 0}', 'janitor.unusedDays'],
  ['janitor: {noticeWorkingDays: 1.5}', 'janitor.noticeWorkingDays'],
  ['janitor: {unused: 4}', 'janitor'],
])('%s is refused, and named', async (text, fault) => {
  await expect(loaded(text)).rejects.toMatchObject({ code: 'input.invalid', faults: [{ path: fault }] });
});

test('a bucket is where its settings say, then where those of S3 do, then where the environment does', async () => {
  const text = [
    's3: {region: eu-west-2}',
    'artifacts: {s3: {bucket: ours, prefix: /a/b/, endpoint: "http://127.0.0.1:9000"}}',
  ];
  const { s3, artifacts } = await loaded(text.join('\n'));
  expect(s3).toEqual({ region: 'eu-west-2', endpoint: undefined });
  expect(artifacts).toEqual({
    bucket: 'ours',
    prefix: 'a/b',
    region: 'eu-west-2',
    endpoint: 'http://127.0.0.1:9000',
  });
  await writeFile(path.join(state, 'settings.yaml'), '');
  const env = { AWS_REGION: 'eu-north-1', AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9001' };
  const plain = loadSettings({ state }, env);
  expect(plain).toMatchObject({ s3: { region: 'eu-north-1', endpoint: 'http://127.0.0.1:9001' } });
  expect(plain.artifacts).toBeUndefined();
});
