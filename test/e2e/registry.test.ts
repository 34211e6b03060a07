/** One Kiln bakes and pushes; another, with a state directory of its own, pulls by digest, checks, deploys and answers. */
import { afterEach, expect, it } from 'vitest';
import { noRegistry, RegistryProcess } from '../registry/registry-process.ts';
import { Kiln } from './kiln.ts';

const missing = noRegistry();
const opened: { destroy(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.destroy();
});

async function kiln(): Promise<Kiln> {
  const made = await Kiln.create();
  opened.push(made);
  await made.serve();
  return made;
}

it.skipIf(missing !== undefined)(
  `an image goes from one Kiln to another and serves there ${missing ?? ''}`,
  async () => {
    const registry = await RegistryProcess.start();
    opened.push({ destroy: () => registry.remove() });
    const [first, second] = [await kiln(), await kiln()];
    const baked = await first.json<{ image: { id: string; digest: string; version: string } }>(
      'bake',
      await first.example('storefront'),
    );
    const name = `storefront@${baked.image.version}`;
    const pushed = await first.json<{ state: string; reference: string }>(
      'push',
      name,
      `${registry.host}/team/storefront`,
    );
    expect(pushed.state).toBe('pushed');

    const pulled = await second.run('pull', pushed.reference);
    expect(pulled).toMatchObject({ code: 0, stdout: `${name}\n` });
    expect(await second.json('images', '--image', name)).toMatchObject({
      id: baked.image.id,
      artifacts: [{ digest: baked.image.digest }],
      tested: false,
      tags: { 'pulled-from': pushed.reference },
    });
    await second.json('check', name);
    await second.json('deploy', 'storefront', 'stage/local', '--image', name);
    const answered = await second.ask('storefront.stage.localhost');
    expect(answered.status).toBe(200);

    const again = await second.json('pull', pushed.reference);
    expect(again).toMatchObject({ state: 'unchanged', progress: { movedBytes: 0 } });
    const missed = await second.run('pull', `${registry.host}/team/storefront:none`);
    expect(missed.code).toBe(3);
    expect(missed.stderr).toContain('not-found');
  },
);
