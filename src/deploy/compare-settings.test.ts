import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Instances, ProcessSpec } from '../domain/component.ts';
import { processName } from '../domain/ids.ts';
import type { ReleaseSettings } from '../domain/release.ts';
import { settingsChanges } from './compare-settings.ts';

const web = (instances: Partial<Instances>): ProcessSpec => ({
  name: processName('web'),
  run: 'node server.js',
  listens: true,
  standard: false,
  instances: { min: 1, desired: 1, max: 1, ...instances },
  stop: { signals: ['SIGTERM', 'SIGKILL'], graceMs: 1_000 },
  volumes: [],
});
const settings: ReleaseSettings = {
  target: 'local',
  processes: [web({})],
  deploy: { strategy: 'blue-green', keepWarmMs: 0, timeoutMs: 1, batch: 1, steps: [], everyMs: 0 },
  checks: ['checks/smoke.yaml'],
  environment: { DB_URL: 'pg://secret' },
};
const routes = [{ host: 'shop.example.com', path: '/', process: processName('web') }];

test('what a release sets is named where it stands, whatever the order of processes', () => {
  const worker = { ...web({}), name: processName('worker') };
  const to = {
    ...settings,
    processes: [worker, web({ desired: 3, max: 3 })],
    migrate: 'node migrate.js',
    deploy: { ...settings.deploy, steps: [5, 25] },
  };
  const changes = settingsChanges({ settings, routes }, { settings: to, routes: [] });
  expect(changes.filter(({ key }) => !key.startsWith('processes.worker'))).toEqual([
    { key: 'deploy.steps', to: '5, 25' },
    { key: 'migrate', to: 'node migrate.js' },
    { key: 'processes.web.instances.desired', from: '1', to: '3' },
    { key: 'processes.web.instances.max', from: '1', to: '3' },
    { key: 'routes.shop.example.com/', from: 'web' },
  ]);
  expect(changes).toContainEqual({ key: 'processes.worker.run', to: 'node server.js' });
});

test('values of the configuration are never in it', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.string()), (environment) => {
      expect(
        settingsChanges({ settings, routes }, { settings: { ...settings, environment }, routes }),
      ).toEqual([]);
    }),
  );
});
