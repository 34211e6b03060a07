/** Webhooks, the deliveries that came in by them, and what commits are still to be told. */
import { expect, it } from 'vitest';
import type { CommitStatus } from '../../src/domain/ports/webhooks.ts';
import type { Webhook } from '../../src/domain/webhook.ts';
import { by } from './store-samples.ts';
import { open, type StoreUnderTest } from './store-subjects.ts';

const HOOK = {
  name: 'shop',
  id: 'abc',
  provider: 'github',
  repository: 'https://github.com/octocat/shop.git',
  serverUrl: 'https://kiln.example.com',
  status: { api: 'https://api.github.com', secret: 'github' },
} as const satisfies Omit<Webhook, 'createdAtMs' | 'createdBy'>;
const SECRET = { key: 'k1', sealed: 'a secret' };
const KEPT = { keptMs: 1_000, most: 3 };

function status(execution: string, state: CommitStatus['state']): CommitStatus {
  return { execution, webhook: 'shop', pipeline: 'shop', commit: 'abc', state };
}

export function webhooksContract(underTest: () => StoreUnderTest): void {
  it('keeps each by its name, in the audit log too', async () => {
    const { webhooks, audit } = underTest().store;
    const made = await webhooks.add(HOOK, SECRET, by);
    expect(made).toEqual({ ...HOOK, createdAtMs: by.atMs, createdBy: 'alice' });
    await expect(webhooks.add(HOOK, SECRET, by)).rejects.toMatchObject({ code: 'input.conflict' });
    await webhooks.add({ ...HOOK, id: 'def', name: 'a' }, SECRET, by);
    expect((await webhooks.list()).map(({ name }) => name)).toEqual(['a', 'shop']);
    expect(await webhooks.get('shop')).toEqual(made);
    await webhooks.remove('shop', by);
    expect(await webhooks.get('shop')).toBeUndefined();
    await expect(webhooks.remove('shop', by)).rejects.toMatchObject({ code: 'not-found' });
    const { items } = await audit.list({ limit: 1 });
    expect(items[0]).toMatchObject({ action: 'webhook.remove', actor: 'alice', subject: 'shop' });
  });

  it('keeps the sealed secret of each for as long as there is one, all sealed with one key', async () => {
    const { webhooks } = underTest().store;
    expect(await webhooks.sealedWith()).toBeUndefined();
    await webhooks.add(HOOK, SECRET, by);
    expect(await webhooks.secretOf('abc')).toBe(SECRET.sealed);
    expect(await webhooks.sealedWith()).toBe('k1');
    await webhooks.bringSecret('abc', { key: 'k1', sealed: 'another' });
    await webhooks.bringSecret('old', { key: 'k1', sealed: 'an older one' });
    expect(await webhooks.secretOf('abc')).toBe(SECRET.sealed);
    expect(await webhooks.secretOf('old')).toBe('an older one');
    const other = { ...HOOK, id: 'def', name: 'other' };
    await expect(webhooks.add(other, { ...SECRET, key: 'k2' }, by)).rejects.toMatchObject({
      code: 'input.conflict',
    });
    expect(await webhooks.get('other')).toBeUndefined();
    await webhooks.remove('shop', by);
    expect(await webhooks.secretOf('abc')).toBeUndefined();
  });

  it('knows a delivery that comes again, and a body that comes under another id; for a while, and so many', async () => {
    const { store, settings } = underTest();
    const receive = (id: string, atMs: number, bodyDigest?: string, webhook = 'shop') =>
      store.webhooks.receive({ webhook, id, ...(bodyDigest !== undefined && { bodyDigest }) }, atMs, KEPT);
    const told = await Promise.all([receive('1', 10, 'x'), receive('1', 10, 'x'), receive('1', 10, 'x')]);
    expect(told.map(({ kind }) => kind).sort()).toEqual(['known', 'known', 'new']);
    await store.webhooks.answered({ webhook: 'shop', id: '1' }, { outcome: 'taken' });
    expect(await receive('1', 20, 'x')).toEqual({ kind: 'known', answer: { outcome: 'taken' } });
    expect(await receive('2', 20, 'x')).toEqual({ kind: 'replayed', firstAtMs: 10 });
    expect(await receive('1', 20, 'y')).toEqual({ kind: 'replayed', firstAtMs: 10 });
    expect(await receive('2', 20, 'x', 'other')).toEqual({ kind: 'new' });
    // Where the id is signed, the body alone says nothing.
    expect(await receive('3', 30)).toEqual({ kind: 'new' });
    expect(await receive('4', 31)).toEqual({ kind: 'new' });
    const again = await open(settings);
    expect(await again.webhooks.receive({ webhook: 'shop', id: '3' }, 40, KEPT)).toEqual({ kind: 'known' });
    await again.close();
    for (const [id, atMs] of Object.entries({ 5: 50, 6: 60, 7: 70, 8: 80 })) await receive(id, atMs);
    expect(await receive('1', 81, 'x')).toEqual({ kind: 'new' });
    expect(await receive('8', 1_081)).toEqual({ kind: 'new' });
  });

  it('keeps what a commit is to be told until it was told, its end last, to one teller at a time', async () => {
    const { webhooks } = underTest().store;
    await webhooks.wantStatus(status('e1', 'pending'), 10);
    expect(await webhooks.nextStatusAtMs(['shop'])).toBe(10);
    expect(await webhooks.nextStatusAtMs(['other'])).toBeUndefined();
    expect(await webhooks.claimStatuses(['other'], 10, 100, 9)).toEqual([]);
    const claims = await Promise.all([1, 2].map(() => webhooks.claimStatuses(['shop'], 10, 100, 9)));
    expect(claims.flat()).toEqual([{ ...status('e1', 'pending'), attempts: 0, wantedAtMs: 10 }]);
    await webhooks.statusFailed(status('e1', 'pending'), 50);
    expect(await webhooks.nextStatusAtMs(['shop'])).toBe(50);
    expect(await webhooks.claimStatuses(['shop'], 50, 100, 9)).toMatchObject([{ attempts: 1 }]);
    // It ends while its beginning is told.
    await webhooks.wantStatus(status('e1', 'success'), 60);
    await webhooks.statusSent(status('e1', 'pending'));
    expect(await webhooks.claimStatuses(['shop'], 61, 100, 9)).toMatchObject([
      { state: 'success', attempts: 0 },
    ]);
    await webhooks.wantStatus(status('e1', 'pending'), 62);
    expect(await webhooks.nextStatusAtMs(['shop'])).toBe(161);
    await webhooks.statusSent(status('e1', 'success'));
    expect(await webhooks.nextStatusAtMs(['shop'])).toBeUndefined();
    await webhooks.wantStatus(status('e2', 'failure'), 80);
    await webhooks.statusFailed(status('e2', 'failure'), undefined);
    expect(await webhooks.nextStatusAtMs(['shop'])).toBeUndefined();
  });
}
