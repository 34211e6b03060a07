/** Choosing a router, and changing one's mind. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { openRouter, type RouterDriver } from '../../src/routing/open-router.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { freePort } from '../free-port.ts';
import { ENTRY, isInstalled, silentLog } from './router-subjects.ts';

const isSkipped = !isInstalled('haproxy') && process.env.CI !== 'true';

it.skipIf(isSkipped)(
  'another driver takes over the address of the one before (Debian package haproxy)',
  async () => {
    const stateDirectory = mkdtempSync(path.join(tmpdir(), 'kiln-router-open-'));
    const listen = { host: '127.0.0.1', port: await freePort() };
    const signal = AbortSignal.timeout(60_000);
    const open = (driver: RouterDriver) =>
      openRouter({
        driver,
        stateDirectory,
        listen,
        nodePath: process.execPath,
        entry: ENTRY,
        build: '1-test',
        clock: systemClock,
        log: silentLog,
      });
    for (const driver of ['built-in', 'haproxy', 'built-in'] as const) {
      const router = await open(driver);
      await router.start(signal);
      expect(await router.status(signal)).toMatchObject({ driver, reachable: true });
      expect(await router.probe('nobody.localhost', '/', signal)).toEqual({ status: 404 });
      await router.close();
    }
    const last = await open('built-in');
    await last.start(signal);
    await last.stop(signal);
    await last.close();
    rmSync(stateDirectory, { recursive: true, force: true });
  },
);
