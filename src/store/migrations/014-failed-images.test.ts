import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { by, check, image } from '../../../test/contracts/store-samples.ts';
import { parseImageQuery } from '../../catalog/query-language.ts';
import { systemClock } from '../../server/system-clock.ts';
import { openStore } from '../open.ts';
import { openSqlite } from '../sqlite/connection.ts';
import { addFailedImages } from './014-failed-images.ts';

it('images that failed before are found, and what failed inside once is tested no more', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'kiln-failed-'));
  const settings = { kind: 'sqlite', file: path.join(folder, 'kiln.db') } as const;
  try {
    const store = await openStore(settings, { clock: systemClock });
    for (const number of [1, 2, 3]) await store.images.create(image(number), by);
    await store.images.recordCheck(image(1).id, { ...check(false), kind: 'in-image' }, by);
    await store.images.recordCheck(image(1).id, { ...check(true), kind: 'in-image' }, by);
    await store.images.recordCheck(image(2).id, check(true), by);
    // As an older Kiln left it.
    const db = new DatabaseSync(settings.file);
    db.exec("DELETE FROM image_postings WHERE term = 'tested'");
    db.exec("UPDATE image_postings SET term = 'tested' WHERE term = 'failed'");
    db.close();
    const engine = await openSqlite(settings.file, { clock: systemClock, random: Math.random });
    await engine.write(addFailedImages);
    await engine.close();
    const named = async (query: string) =>
      (await store.catalogue.search(parseImageQuery(query), { limit: 9 })).items.map(({ id }) => id);
    expect(await named('failed=true')).toEqual([image(1).id]);
    expect(await named('tested=true')).toEqual([image(2).id]);
    await store.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
