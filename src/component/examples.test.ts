import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { environmentName } from '../domain/ids.ts';
import { readComponent } from './read.ts';
import { resolveEnvironment } from './resolve-environment.ts';

const EXAMPLES = path.join(import.meta.dirname, '../../examples');
const examples = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());

test.each(examples.map(({ name }) => name))('examples/%s has a kiln.yaml without faults', async (name) => {
  const { definition } = await readComponent(path.join(EXAMPLES, name));
  expect(definition.component).toBe(name);
  expect(definition.defaults.processes.length).toBeGreaterThan(0);
});

test('storefront: one instance on stage, three on a protected live', async () => {
  const { definition } = await readComponent(path.join(EXAMPLES, 'storefront'));
  const stage = resolveEnvironment(definition, environmentName('stage/local'));
  const live = resolveEnvironment(definition, environmentName('live/local'));
  expect(stage.processes.map(({ name, instances }) => [name, instances.desired])).toEqual([
    ['web', 1],
    ['worker', 1],
  ]);
  expect(stage.channel).toBeUndefined();
  expect(live.processes[0]?.instances).toEqual({ min: 3, desired: 3, max: 3 });
  expect(live.channel).toBe('proven');
  expect([...stage.routes, ...live.routes].map(({ host }) => host)).toEqual([
    'storefront.stage.localhost',
    'storefront.live.localhost',
  ]);
  expect(Object.keys(definition.attachments ?? {})).toEqual(['checks/smoke.yaml', 'config/app.json.liquid']);
});
