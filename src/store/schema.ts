/**
 * The tables, the same on both engines. Times are Unix milliseconds, flags are 0 or 1,
 * and `Json` columns hold canonical JSON text (see json.ts), so that what is hashed and
 * compared does not depend on the engine. An `ordinal` is the revision that made the row:
 * unique, growing in commit order, and so the key that lists are paged by.
 */
import type { CatalogueTables } from './tables/catalogue.ts';
import type { ChannelTables } from './tables/channels.ts';
import type { DeploymentTables } from './tables/deployments.ts';
import type { ExecutionTables } from './tables/executions.ts';
import type { ImageTables } from './tables/images.ts';
import type { JournalTables } from './tables/journal.ts';
import type { ServerTables } from './tables/servers.ts';
import type { TriggerTables } from './tables/triggers.ts';

export interface Schema
  extends JournalTables,
    ImageTables,
    CatalogueTables,
    ChannelTables,
    DeploymentTables,
    ExecutionTables,
    TriggerTables,
    ServerTables {}
