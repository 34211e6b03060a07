/** The servers that work on the store. */
export interface ServerTable {
  id: string;
  url: string;
  host: string;
  version: string;
  started_at_ms: number;
  seen_at_ms: number;
  stopped_at_ms: number | null;
}

export interface ServerTables {
  servers: ServerTable;
}
