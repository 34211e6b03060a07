import { expect, it } from 'vitest';
import type { Finding } from '../../src/domain/finding.ts';
import type { ImageId } from '../../src/domain/ids.ts';
import { by, image, storefront } from './store-samples.ts';
import type { StoreUnderTest } from './store-subjects.ts';

const finding: Finding = {
  id: 'GHSA-1',
  aliases: ['CVE-2024-1'],
  severity: 'high',
  summary: 'bad',
  where: 'pkg:npm/a@1.0.0',
  fixedIn: '1.0.1',
};

export function findingsContract(underTest: () => StoreUnderTest): void {
  it('keeps what each source last found; the same again is no change', async () => {
    const { store } = underTest();
    const { id } = await store.images.create(image(1), by);
    expect(await store.findings.of(id)).toEqual([]);
    expect(await store.findings.put(id, 'osv', [finding], by)).toBe(true);
    expect(await store.findings.put(id, 'lynis', [], by)).toBe(true);
    const revision = await store.events.revision();
    expect(await store.findings.put(id, 'osv', [finding], { ...by, atMs: by.atMs + 1 })).toBe(false);
    expect(await store.events.revision()).toBe(revision);
    expect(await store.findings.of(id)).toEqual([
      { image: id, source: 'lynis', atMs: by.atMs, findings: [] },
      { image: id, source: 'osv', atMs: by.atMs, findings: [finding] },
    ]);
    await store.findings.put(id, 'osv', [], { ...by, atMs: by.atMs + 2 });
    expect((await store.findings.of(id))[1]).toMatchObject({ atMs: by.atMs + 2, findings: [] });
    const none = store.findings.put('none' as ImageId, 'osv', [], by);
    await expect(none).rejects.toMatchObject({ code: 'not-found' });
  });

  it('keeps waivers with who, why and until when, in the audit log too', async () => {
    const { store } = underTest();
    const waiver = {
      finding: 'CVE-2024-1',
      component: storefront,
      why: 'no path to it',
      expiresAtMs: by.atMs + 1,
    };
    const made = await store.findings.waive(waiver, by);
    expect(await store.findings.waivers()).toEqual([
      { ...waiver, id: made.id, by: 'alice', createdAtMs: by.atMs },
    ]);
    await store.findings.endWaiver(made.id, { ...by, actor: 'bob' });
    expect(await store.findings.waivers()).toEqual([]);
    const { items } = await store.audit.list({ limit: 2 });
    expect(items.map(({ action, actor }) => [action, actor])).toEqual([
      ['waiver.delete', 'bob'],
      ['waiver.create', 'alice'],
    ]);
    await expect(store.findings.endWaiver(made.id, by)).rejects.toMatchObject({ code: 'not-found' });
  });
}
