import type { CheckResult } from '../../domain/image.ts';
import { imageState } from '../../domain/image.ts';
import { setState } from '../catalogue/index-image.ts';
import { FAILED, type NewImage, TESTED } from '../catalogue/terms.ts';
import type { Writer } from '../engine.ts';
import { fromJson } from '../json.ts';

/** Images that failed can be asked for, and one that ever failed a test inside it is tested no more. */
export async function addFailedImages(tx: Writer): Promise<void> {
  const images = await tx
    .selectFrom('images')
    .select(['id', 'body'])
    .where('swept_at_ms', 'is', null)
    .where('id', 'in', (checked) => checked.selectFrom('image_checks').select('image_id'))
    .where('id', 'not in', (revoked) => revoked.selectFrom('image_revocations').select('image_id'))
    .execute();
  for (const row of images) {
    const rows = await tx
      .selectFrom('image_checks')
      .select('body')
      .where('image_id', '=', row.id)
      .orderBy('ordinal')
      .execute();
    const checks = rows.map(({ body }) => fromJson<CheckResult>(body));
    const image = fromJson<NewImage>(row.body);
    const state = imageState({ ...image, checks });
    await setState(tx, image.id, TESTED, state === 'tested');
    await setState(tx, image.id, FAILED, state === 'failed');
  }
}
