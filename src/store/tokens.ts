import type { Token } from '../domain/audit.ts';
import type { Change } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import type { TokenStore } from '../domain/ports/tokens.ts';
import type { Database } from './database.ts';
import { fromJson, toJson } from './json.ts';
import type { TokenTable } from './tables/journal.ts';

export class Tokens implements TokenStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  create(token: Omit<Token, 'id' | 'createdAtMs'>, secretHash: string, change: Change): Promise<Token> {
    return this.#database.change(change, async (tx) => {
      const taken = await tx.db
        .selectFrom('tokens')
        .select('name')
        .where('secret_hash', '=', secretHash)
        .executeTakeFirst();
      if (taken) {
        throw new KilnError('input.conflict', `The token "${taken.name}" has this secret already.`, {
          next: 'Make a new secret.',
        });
      }
      const row: TokenTable = {
        id: `t${tx.revision}`,
        ordinal: tx.revision,
        name: token.name,
        role: token.role,
        environments: toJson(token.environments),
        secret_hash: secretHash,
        created_at_ms: change.atMs,
        expires_at_ms: token.expiresAtMs ?? null,
      };
      await tx.db.insertInto('tokens').values(row).execute();
      const { name, role, environments } = token;
      tx.event('token.created', row.id, { name, role, environments });
      tx.audit('token.create', row.id, { name, role, environments, expiresAtMs: row.expires_at_ms });
      return asToken(row);
    });
  }

  bySecretHash(secretHash: string): Promise<Token | undefined> {
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('tokens')
        .selectAll()
        .where('secret_hash', '=', secretHash)
        .executeTakeFirst();
      return row && asToken(row);
    });
  }

  list(): Promise<readonly Token[]> {
    return this.#database.read(async (db) => {
      const rows = await db.selectFrom('tokens').selectAll().orderBy('ordinal').execute();
      return rows.map(asToken);
    });
  }

  delete(id: string, change: Change): Promise<void> {
    return this.#database.change(change, async (tx) => {
      const row = await tx.db.deleteFrom('tokens').where('id', '=', id).returning('name').executeTakeFirst();
      if (!row) {
        throw new KilnError('not-found', `There is no token ${id}.`, {
          next: 'List the tokens to see which there are.',
        });
      }
      tx.event('token.deleted', id, { name: row.name });
      tx.audit('token.delete', id, { name: row.name });
    });
  }
}

function asToken(row: TokenTable): Token {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    environments: fromJson<readonly string[]>(row.environments),
    createdAtMs: row.created_at_ms,
    ...(row.expires_at_ms === null ? {} : { expiresAtMs: row.expires_at_ms }),
  };
}
