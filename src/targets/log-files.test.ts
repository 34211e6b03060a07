import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  componentName,
  environmentName,
  type InstanceId,
  type ServerGroupName,
  serviceKey,
} from '../domain/ids.ts';
import { LogFiles } from './log-files.ts';

const SERVICE = serviceKey(componentName('shop'), environmentName('live/uk'));
const CLOCK = { now: Date.now, monotonic: () => performance.now(), sleep: () => Promise.resolve() };

let root: string;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'kiln-logs-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Where the logs of one service are. */
function layoutOf(instances: string, kept: string) {
  return {
    instances,
    logs: path.dirname(kept),
    instance: (id: InstanceId) => ({
      directory: path.join(instances, id),
      log: path.join(instances, id, 'out.log'),
    }),
    keptLogs: () => kept,
  };
}

test('what an instance wrote is read while it is moved to where ended ones are kept', async () => {
  const layout = layoutOf(path.join(root, 'instances'), path.join(root, 'logs', 'shop'));
  const logs = new LogFiles(layout, CLOCK);
  for (let n = 0; n < 100; n += 1) {
    const id = `shop-web-live-uk-v001-${n}-00000000` as InstanceId;
    const { directory, log } = layout.instance(id);
    await mkdir(directory, { recursive: true });
    await writeFile(log, `${id}\n`);
    const texts: string[] = [];
    const group = 'shop-web-live-uk-v001' as ServerGroupName;
    const reading = (async () => {
      const query = { tail: 5, follow: false };
      for await (const { text } of logs.read([group], query, new AbortController().signal)) texts.push(text);
    })();
    await sleep(n / 50);
    await logs.keep(id, SERVICE);
    await rm(directory, { recursive: true });
    await reading;
    expect(texts).toContain(id);
  }
});

test('instances that end together each keep their output, and the oldest go once', async () => {
  const instances = path.join(root, 'instances');
  const kept = path.join(root, 'logs', 'shop');
  const layout = layoutOf(instances, kept);
  const logs = new LogFiles(layout, CLOCK);
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
