/** What a sandbox hides, and that an ordinary user has one too. */
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Target } from '../../src/domain/ports/target.ts';
import {
  ask,
  eventually,
  groupSpec,
  NEVER,
  NODE_PATH,
  serving,
  TargetFixture,
} from '../contracts/target-fixture.ts';

const SERVER = fileURLToPath(new URL('target-server.ts', import.meta.url));
const KEEP = { afresh: false };

describe('the sandbox', () => {
  let fixture: TargetFixture;
  let target: Target;

  beforeEach(async () => {
    fixture = await TargetFixture.create();
    target = await fixture.target();
  });
  afterEach(() => fixture.destroy());

  test('hides the state directory, its token and other processes, and keeps the image as it is', async (context) => {
    if ((await target.capabilities(NEVER)).isolation === 'none') return needs(context, 'bubblewrap');
    const hidden = path.join(fixture.directory, 'hidden');
    await mkdir(hidden);
    writeFileSync(path.join(hidden, 'token'), 'another');
    const other = await fixture.target({
      stateDirectory: path.join(fixture.directory, 'state'),
      hiddenPaths: [hidden],
    });
    await target.close();
    const spec = groupSpec(await fixture.image());
    await other.ensure(spec, 1, KEEP, NEVER);
    const [instance] = await serving(other, spec);
    if (instance === undefined) throw new Error('one was serving');
    expect(await ask(instance, '/read', { file: path.join(fixture.state, 'token') })).toBe('failed: ENOENT');
    expect(await ask(instance, '/read', { file: path.join(hidden, 'token') })).toBe('failed: ENOENT');
    expect(await ask(instance, '/write', { file: 'web.js', text: 'x' })).toBe('failed: EROFS');
    expect(await ask(instance, '/write', { file: '/etc/x', text: 'x' })).toBe('failed: EROFS');
    expect(await ask(instance, '/write', { file: '/x', text: 'x' })).toBe('failed: EROFS');
    expect(await ask(instance, '/cwd')).toBe('/app');
    const environments = await ask(instance, '/processes');
    expect(Array.isArray(environments) && environments.length).toBeLessThan(6);
    expect(JSON.stringify(environments)).not.toContain('VITEST');
  });

  test('that an earlier server died trying out leaves nothing', async () => {
    await target.close();
    const local = path.join(fixture.state, 'targets/local');
    await mkdir(path.join(local, 'trial/srv/runtime'), { recursive: true });
    const next = await fixture.target();
    expect(await readdir(local)).not.toContain('trial');
    await next.capabilities(NEVER);
    expect(await readdir(local)).not.toContain('trial');
  });

  test('hides a state directory outside of /tmp too', async (context) => {
    if ((await target.capabilities(NEVER)).isolation === 'none') return needs(context, 'bubblewrap');
    const place = execFileSync('mktemp', ['-d', '-p', '/var/tmp', 'kiln-target-XXXXXX'], {
      encoding: 'utf8',
    }).trim();
    try {
      writeFileSync(path.join(place, 'token'), 'secret');
      const other = await fixture.target({ stateDirectory: place });
      const spec = groupSpec(await fixture.image());
      await other.ensure(spec, 1, KEEP, NEVER);
      const [instance] = await serving(other, spec);
      if (instance === undefined) throw new Error('one was serving');
      expect(await ask(instance, '/read', { file: path.join(place, 'token') })).toBe('failed: ENOENT');
      expect(await ask(instance, '/write', { file: path.join(place, 'x'), text: 'x' })).toBe('failed: EROFS');
      await other.remove(spec.group, 1, NEVER);
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  });
});

test('an ordinary user can do this too', async () => {
  const fixture = await TargetFixture.create();
  const asRoot = process.getuid?.() === 0;
  try {
    const artifact = await fixture.image();
    await chmod(fixture.directory, 0o755);
    const here = await fixture.target();
    const best = (await here.capabilities(NEVER)).isolation;
    await here.close();
    if (asRoot) execFileSync('chown', ['-R', 'nobody', fixture.directory]);
    for (const isolation of ['auto', 'none']) {
      const does = { artifact, isolation, run: 'node web.js', listens: true };
      const server = spawn(
        process.execPath,
        [SERVER, JSON.stringify({ directory: fixture.directory, ...does })],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
          env: { PATH: NODE_PATH },
          ...(asRoot ? { uid: idOf('-u'), gid: idOf('-g') } : {}),
        },
      );
      let output = '';
      server.stdout?.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
      await eventually('it serves', async () => output.includes('ready'));
      expect(output).toContain(`ready ${isolation === 'none' ? 'none' : best}`);
      server.kill('SIGKILL');
      const target = await fixture.target();
      await target.remove(groupSpec(artifact).group, 1, NEVER);
      await target.close();
    }
  } finally {
    await fixture.destroy();
  }
});

function idOf(kind: '-u' | '-g'): number {
  return Number(execFileSync('id', [kind, 'nobody'], { encoding: 'utf8' }));
}

function needs(context: { skip: (why: string) => void }, debianPackage: string): void {
  if (process.env.CI === 'true') throw new Error(`CI needs the Debian package ${debianPackage}.`);
  context.skip(`needs the Debian package ${debianPackage}`);
}
