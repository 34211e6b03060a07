/** Environments that are paused: by whom first, and until somebody resumes them. */
import { expect, it } from 'vitest';
import { environmentName } from '../../src/domain/ids.ts';
import { by } from './store-samples.ts';
import type { StoreUnderTest } from './store-subjects.ts';

export function pausesContract(underTest: () => StoreUnderTest): void {
  it('pauses an environment once, says who and why, and resumes it once', async () => {
    const { pauses, events } = underTest().store;
    const [live, stage] = [environmentName('live/uk'), environmentName('stage/uk')];
    expect(await pauses.pause(live, 'Christmas', by)).toMatchObject({ environment: live, by: by.actor });
    await pauses.pause(live, 'another reason', { ...by, actor: 'bob' });
    await pauses.pause(stage, '', by);
    expect(await pauses.list()).toMatchObject([
      { environment: live, why: 'Christmas' },
      { environment: stage },
    ]);
    const revision = await events.revision();
    expect(await pauses.resume(live, by)).toBe(true);
    expect(await pauses.resume(live, by)).toBe(false);
    expect((await events.after(revision, 10)).map(({ kind, subject }) => [kind, subject])).toEqual([
      ['environment.resumed', live],
    ]);
    expect(await pauses.list()).toMatchObject([{ environment: stage }]);
  });
}
