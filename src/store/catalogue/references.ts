/** Who needs an image now: asked for some of them inside a sweep's transaction, and for all of them by a run's view. */
import type { EnvironmentName, ImageId } from '../../domain/ids.ts';
import { releasesInReach } from '../../domain/retention.ts';
import type { ServerGroup } from '../../domain/server-group.ts';
import type { Reader } from '../engine.ts';
import { fromJson } from '../json.ts';

export interface References {
  readonly channels: readonly ImageId[];
  readonly groups: readonly ImageId[];
  readonly releases: readonly ImageId[];
}

/** @param of undefined: of all images */
export async function references(
  db: Reader,
  releasesKept: number,
  of?: readonly ImageId[],
): Promise<References> {
  let heads = db.selectFrom('channel_heads').select('image_id');
  if (of !== undefined) heads = heads.where('image_id', 'in', of);
  const [channels, groups, releases] = [
    await heads.execute(),
    await runByGroups(db, of),
    await inReach(db, releasesKept, of),
  ];
  return { channels: channels.map((row) => row.image_id), groups, releases };
}

async function runByGroups(db: Reader, of?: readonly ImageId[]): Promise<readonly ImageId[]> {
  const rows = await db.selectFrom('server_groups').select('body').execute();
  const found = new Set<ImageId>();
  for (const row of rows) {
    const { component, environment, release } = fromJson<ServerGroup>(row.body);
    const released = await db
      .selectFrom('releases')
      .select('image_id')
      .where('component', '=', component)
      .where('environment', '=', environment)
      .where('number', '=', release)
      .executeTakeFirst();
    if (released !== undefined && (of === undefined || of.includes(released.image_id)))
      found.add(released.image_id);
  }
  return [...found];
}

/** Images of releases that a rollback or an open deployment may still turn to. */
async function inReach(db: Reader, kept: number, of?: readonly ImageId[]): Promise<readonly ImageId[]> {
  let query = db
    .selectFrom('releases')
    .select(['component', 'environment', 'number', 'image_id', 'served_at_ms', 'bad']);
  if (of !== undefined) {
    const component = db.selectFrom('releases').select('component').where('image_id', 'in', of);
    query = query.where('component', 'in', component);
  }
  const [releases, services, deployments] = [
    await query.execute(),
    await db.selectFrom('services').select(['component', 'environment', 'serving']).execute(),
    await db
      .selectFrom('deployments')
      .select(['component', 'environment', 'from_release', 'to_release'])
      .where('ended_at_ms', 'is', null)
      .execute(),
  ];
  const key = (one: { component: string; environment: EnvironmentName }) =>
    `${one.component}@${one.environment}`;
  const serving = new Map(services.map((one) => [key(one), one.serving]));
  const open = Map.groupBy(deployments, key);
  const found = new Set<ImageId>();
  for (const [service, all] of Map.groupBy(releases, key)) {
    const ends = (open.get(service) ?? []).flatMap((one) => [
      one.to_release,
      one.from_release ?? one.to_release,
    ]);
    const candidates = all.map((one) => ({ ...one, servedAtMs: one.served_at_ms, bad: one.bad !== null }));
    for (const one of releasesInReach(candidates, serving.get(service) ?? null, ends, kept))
      found.add(one.image_id);
  }
  return of === undefined ? [...found] : of.filter((one) => found.has(one));
}
