import type { Change } from '../domain/change.ts';
import type { ChannelPolicy } from '../domain/channel-demands.ts';
import type { ChannelName, ComponentName, ImageId } from '../domain/ids.ts';
import type { ChannelPolicyStore } from '../domain/ports/channels.ts';
import type { Approval } from '../domain/promotion-evidence.ts';
import { refuseRevoked } from './catalogue/revocations.ts';
import type { Database } from './database.ts';
import { requireImage } from './images.ts';
import { fromJson, toJson } from './json.ts';

export class ChannelPolicies implements ChannelPolicyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  list(component: ComponentName): Promise<ReadonlyMap<ChannelName, ChannelPolicy>> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('channel_policies')
        .select(['channel', 'body'])
        .where('component', '=', component)
        .orderBy('channel')
        .execute();
      return new Map(rows.map((row) => [row.channel, fromJson<ChannelPolicy>(row.body)]));
    });
  }

  get(component: ComponentName, channel: ChannelName): Promise<ChannelPolicy | undefined> {
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('channel_policies')
        .select('body')
        .where('component', '=', component)
        .where('channel', '=', channel)
        .executeTakeFirst();
      return row && fromJson<ChannelPolicy>(row.body);
    });
  }

  set(component: ComponentName, channel: ChannelName, policy: ChannelPolicy, change: Change): Promise<void> {
    return this.#database.change(change, async (tx) => {
      const body = toJson(policy);
      await tx.db
        .insertInto('channel_policies')
        .values({ component, channel, body })
        .onConflict((conflict) => conflict.columns(['component', 'channel']).doUpdateSet({ body }))
        .execute();
      tx.event('channel.policy-set', `${component}@${channel}`, { policy });
      tx.audit('channel.set-policy', `${component}@${channel}`, { policy });
    });
  }

  approve(
    component: ComponentName,
    channel: ChannelName,
    image: ImageId,
    why: string,
    change: Change,
  ): Promise<void> {
    return this.#database.change(change, async (tx) => {
      await requireImage(tx.db, image);
      await refuseRevoked(tx.db, image);
      const approval = { approved_by: tx.actor, why, at_ms: tx.atMs };
      await tx.db
        .insertInto('channel_approvals')
        .values({ component, channel, image_id: image, ...approval })
        .onConflict((conflict) =>
          conflict
            .columns(['component', 'channel', 'image_id', 'approved_by'])
            .doUpdateSet({ why, at_ms: tx.atMs }),
        )
        .execute();
      tx.event('channel.approved', `${component}@${channel}`, { image, by: tx.actor, why });
      tx.audit('channel.approve', `${component}@${channel}`, { image, why });
    });
  }

  approvals(component: ComponentName, channel: ChannelName, image: ImageId): Promise<readonly Approval[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('channel_approvals')
        .select(['approved_by', 'why', 'at_ms'])
        .where('component', '=', component)
        .where('channel', '=', channel)
        .where('image_id', '=', image)
        .orderBy('at_ms')
        .execute();
      return rows.map((row) => ({ by: row.approved_by, why: row.why, atMs: row.at_ms }));
    });
  }
}
