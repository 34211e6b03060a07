import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { SandboxProbe } from './isolation.ts';

test('a trial that a killed server left hanging is ended by the next one', async () => {
  const stateDirectory = await mkdtemp(path.join(tmpdir(), 'kiln-trial-'));
  const trialDirectory = path.join(stateDirectory, 'trial');
  await mkdir(trialDirectory);
  const hanging = spawn('sleep', ['600'], { env: { KILN_TRIAL: trialDirectory }, stdio: 'ignore' });
  const ended = once(hanging, 'close');
  try {
    await once(hanging, 'spawn');
    const host = { stateDirectory, hiddenPaths: [], trialDirectory, path: process.env.PATH ?? '' };
    await new SandboxProbe(host, { info: () => undefined, warn: () => undefined }, undefined).sandbox();
    expect(await ended).toEqual([null, 'SIGKILL']);
  } finally {
    hanging.kill('SIGKILL');
    await rm(stateDirectory, { recursive: true, force: true });
  }
});
