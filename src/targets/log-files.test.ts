import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { componentName, environmentName, type InstanceId, serviceKey } from '../domain/ids.ts';
import { LogFiles } from './log-files.ts';

const SERVICE = serviceKey(componentName('shop'), environmentName('live/uk'));

let root: string;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'kiln-logs-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

test('instances that end together each keep their output, and the oldest go once', async () => {
  const instances = path.join(root, 'instances');
  const kept = path.join(root, 'logs', 'shop');
  const layout = {
    instances,
    logs: path.join(root, 'logs'),
    instance: (id: InstanceId) => ({
      directory: path.join(instances, id),
      log: path.join(instances, id, 'out.log'),
    }),
    keptLogs: () => kept,
  };
  const clock = { now: Date.now, monotonic: () => performance.now(), sleep: () => Promise.resolve() };
  const logs = new LogFiles(layout, clock);
  const ids = Array.from(
    { length: 300 },
    (_, n) => `shop-web-live-uk-v001-${n}-0000000${n % 10}` as InstanceId,
  );
  for (const id of ids) {
    await mkdir(layout.instance(id).directory, { recursive: true });
    await writeFile(layout.instance(id).log, `${id}\n`);
  }
  // Shortly after one another, as when everything is stopped: one clears away what another is looking at.
  await Promise.all(
    ids.map(async (id, n) => {
      await sleep(n / 4);
      await logs.keep(id, SERVICE);
    }),
  );
  expect((await readdir(kept)).length).toBeLessThanOrEqual(10);
});
