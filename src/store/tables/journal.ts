/** What every change leaves behind, and who may make one. */
import type { Role } from '../../domain/audit.ts';
import type { Revision } from '../../domain/ids.ts';
import type { Json } from '../json.ts';

/** The one row that every writer locks first: what makes commit order and revision order the same. */
export interface StateTable {
  id: 1;
  schema_version: number;
  revision: Revision;
  /** Revision and hash of the newest audit line: a cut-off end of the log shows too. */
  audit_revision: Revision;
  audit_hash: string;
  /** Written by `ping`, to know that the store takes writes. */
  checked_at_ms: number;
}

interface SchemaMigrationTable {
  version: number;
  name: string;
  applied_at_ms: number;
}

export interface EventTable {
  revision: Revision;
  at_ms: number;
  kind: string;
  subject: string;
  data: Json;
}

export interface AuditTable {
  revision: Revision;
  at_ms: number;
  actor: string;
  action: string;
  subject: string;
  detail: Json;
  hash: string;
}

export interface TokenTable {
  id: string;
  ordinal: Revision;
  name: string;
  role: Role;
  environments: Json;
  secret_hash: string;
  created_at_ms: number;
  expires_at_ms: number | null;
}

interface IdempotencyTable {
  actor: string;
  key: string;
  request_hash: string;
  /** Null until answered. */
  status: number | null;
  body: string | null;
  /** Of the server that carries it out; null: nobody does. */
  attempt: string | null;
  /** Subject of what was made under the key. */
  made: string | null;
  at_ms: number;
}

export interface JournalTables {
  state: StateTable;
  schema_migrations: SchemaMigrationTable;
  events: EventTable;
  audit: AuditTable;
  tokens: TokenTable;
  idempotency: IdempotencyTable;
}
