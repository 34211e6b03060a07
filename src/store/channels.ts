import type { Change } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import type { ChannelName, ComponentName } from '../domain/ids.ts';
import type { ChannelMove } from '../domain/image.ts';
import type { ChannelStore } from '../domain/ports/channels.ts';
import type { Evidence } from '../domain/promotion-evidence.ts';
import { indexMove } from './catalogue/index-image.ts';
import { refuseRevoked } from './catalogue/revocations.ts';
import type { Database } from './database.ts';
import type { Reader } from './engine.ts';
import { requireImage } from './images.ts';
import { fromJson, toJson } from './json.ts';
import type { ChannelMoveTable } from './tables/channels.ts';

export class Channels implements ChannelStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  move(move: Omit<ChannelMove, 'atMs' | 'by'>, change: Change): Promise<ChannelMove> {
    return this.#database.change(change, async (tx) => {
      const { component, channel, image, previous, why, evidence } = move;
      await requireImage(tx.db, image);
      await refuseRevoked(tx.db, image);
      const current = await newestMove(tx.db, component, channel);
      if (current?.image_id !== previous) throw movedMeanwhile(move, current);
      const row: ChannelMoveTable = {
        ordinal: tx.revision,
        component,
        channel,
        image_id: image,
        previous: previous ?? null,
        moved_by: change.actor,
        why,
        at_ms: change.atMs,
        evidence: evidence === undefined ? null : toJson(evidence),
      };
      await tx.db.insertInto('channel_moves').values(row).execute();
      await tx.db
        .insertInto('channel_heads')
        .values({ component, channel, image_id: image })
        .onConflict((conflict) => conflict.columns(['component', 'channel']).doUpdateSet({ image_id: image }))
        .execute();
      await indexMove(tx.db, { component, channel, image, previous });
      const data = { component, channel, image, previous: previous ?? null, why };
      tx.event('channel.moved', `${component}@${channel}`, data);
      tx.audit('channel.move', `${component}@${channel}`, data);
      return asMove(row);
    });
  }

  current(component: ComponentName, channel: ChannelName): Promise<ChannelMove | undefined> {
    return this.#database.read(async (db) => {
      const row = await newestMove(db, component, channel);
      return row && asMove(row);
    });
  }

  list(component?: ComponentName): Promise<readonly ChannelMove[]> {
    return this.#database.read(async (db) => {
      let newest = db
        .selectFrom('channel_moves')
        .select(({ fn }) => fn.max('ordinal').as('ordinal'))
        .groupBy(['component', 'channel']);
      if (component !== undefined) newest = newest.where('component', '=', component);
      const rows = await db.selectFrom('channel_moves').selectAll().where('ordinal', 'in', newest).execute();
      return rows.map(asMove).sort(byName);
    });
  }

  history(component: ComponentName, channel: ChannelName): Promise<readonly ChannelMove[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('channel_moves')
        .selectAll()
        .where('component', '=', component)
        .where('channel', '=', channel)
        .orderBy('ordinal', 'desc')
        .execute();
      return rows.map(asMove);
    });
  }
}

function newestMove(
  db: Reader,
  component: ComponentName,
  channel: ChannelName,
): Promise<ChannelMoveTable | undefined> {
  return db
    .selectFrom('channel_moves')
    .selectAll()
    .where('component', '=', component)
    .where('channel', '=', channel)
    .orderBy('ordinal', 'desc')
    .limit(1)
    .executeTakeFirst();
}

function asMove(row: ChannelMoveTable): ChannelMove {
  return {
    component: row.component,
    channel: row.channel,
    image: row.image_id,
    ...(row.previous === null ? {} : { previous: row.previous }),
    by: row.moved_by,
    why: row.why,
    atMs: row.at_ms,
    ...(row.evidence === null ? {} : { evidence: fromJson<Evidence>(row.evidence) }),
  };
}

/** By code units, so that both engines and all locales list alike. */
function byName(a: ChannelMove, b: ChannelMove): number {
  const [left, right] = [`${a.component} ${a.channel}`, `${b.component} ${b.channel}`];
  return left < right ? -1 : left > right ? 1 : 0;
}

function movedMeanwhile(
  move: Omit<ChannelMove, 'atMs' | 'by'>,
  current: ChannelMoveTable | undefined,
): KilnError {
  const holds = current ? `holds ${current.image_id}` : 'holds nothing';
  return new KilnError(
    'input.conflict',
    `The channel ${move.channel} of ${move.component} ${holds}, not ${move.previous ?? 'nothing'} as expected.`,
    {
      next: 'Look at what the channel holds now, then decide again.',
      details: { holds: current?.image_id ?? null },
    },
  );
}
