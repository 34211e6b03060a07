import { describe, expect, it } from 'vitest';
import { KilnError } from '../../domain/errors.ts';
import { readPipeline } from './pipeline-file.ts';
import { triggersOf } from './trigger-declarations.ts';

const MACHINE = 'StartAt: A\nStates:\n  A: {Type: Pass, End: true}\n';

async function read(text: string) {
  return readPipeline(`${text}${MACHINE}`, 'pipeline.yaml');
}

const AT = { branch: 'main', directory: 'apps/shop' };

describe('Triggers', () => {
  it('unsaid, are pushes to the branch, in the folder', async () => {
    const { triggers, checkout } = await read('');
    expect(triggersOf(triggers, AT)).toEqual({
      push: { branches: ['main'], tags: [], paths: ['apps/shop/**'] },
      schedule: [],
      channel: [],
      base: false,
      pipeline: [],
      onOpen: 'queue',
    });
    expect(checkout).toEqual({ submodules: true, lfs: true });
  });

  it('are what the file says, and nothing else', async () => {
    const { triggers, checkout } = await read(`
Triggers:
  push: {tags: ['v*'], paths: ['**', '!**/*.md']}
  pullRequest: {forks: true}
  schedule: [{cron: 30 4 * * 1-5, timeZone: Europe/London, missed: skip}]
  channel: [node-runtime@golden]
  pipeline: [{name: lib}]
  onOpen: newest
Checkout: {depth: 1, lfs: false}
`);
    expect(triggersOf(triggers, AT)).toEqual({
      push: { branches: [], tags: ['v*'], paths: ['**', '!**/*.md'] },
      pullRequest: { branches: ['main'], forks: true, paths: ['apps/shop/**'] },
      schedule: [{ cron: '30 4 * * 1-5', timeZone: 'Europe/London', missed: 'skip' }],
      channel: [{ component: 'node-runtime', channel: 'golden' }],
      base: false,
      pipeline: [{ pipeline: 'lib', status: ['SUCCEEDED'] }],
      onOpen: 'newest',
    });
    expect(checkout).toEqual({ depth: 1, submodules: true, lfs: false });
    expect(triggersOf((await read('Triggers: {base: true}\n')).triggers, AT)).not.toHaveProperty('push');
  });

  it('are refused with every fault in its place', async () => {
    const text = `Triggers:
  pusch: {}
  push: {branches: main}
  schedule:
    - {cron: 61 * * * *}
    - {cron: 0 4 * * *, timeZone: Europe/Londres}
  channel: [golden]
Checkout: {depth: 0}
`;
    const error = await read(text).catch((thrown: unknown) => thrown);
    if (!(error instanceof KilnError)) throw error;
    const places = error.faults.map(({ path, location }) => `${location?.line} ${path}`);
    expect(places).toEqual([
      '2 Triggers.pusch',
      '3 Triggers.push.branches',
      '5 Triggers.schedule[0].cron',
      '6 Triggers.schedule[1].timeZone',
      '7 Triggers.channel[0]',
      '8 Checkout.depth',
    ]);
  });
});
