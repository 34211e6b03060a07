/** What starts pipelines by itself, put together: mirrors and folders of sources, and whoever looks for news of them. */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Store } from '../domain/ports/store.ts';
import { Checkout } from '../pipeline/checkout/checkout.ts';
import { Git } from '../pipeline/checkout/git.ts';
import { Mirrors } from '../pipeline/checkout/mirrors.ts';
import { Workspaces } from '../pipeline/checkout/workspaces.ts';
import type { Pipelines } from '../pipeline/pipelines.ts';
import { AskedStarts } from '../pipeline/triggers/asked-starts.ts';
import { TriggerInbox } from '../pipeline/triggers/inbox.ts';
import { TriggerKeeper } from '../pipeline/triggers/keeper.ts';
import { Poller } from '../pipeline/triggers/poller.ts';
import type { DescribeComponent } from '../pipeline/triggers/source-facts.ts';
import { SourceFolders } from '../pipeline/triggers/source-folder.ts';
import { Sources } from '../pipeline/triggers/sources.ts';
import { StoreFollower } from '../pipeline/triggers/store-follower.ts';
import { actOn } from '../pipeline/triggers/triggered-start.ts';
import type { Settings } from '../settings.ts';
import { describeFolder } from './describe-folder.ts';
import type { StateDirectory } from './state-directory.ts';
import { systemClock } from './system-clock.ts';

export interface Checkouts {
  readonly mirrors: Mirrors;
  readonly checkout: Checkout;
  readonly workspaces: Workspaces;
  readonly folders: SourceFolders;
}

interface Around {
  readonly settings: Pick<Settings, 'path' | 'buildNetwork' | 'userHome'>;
  readonly state: StateDirectory;
  readonly store: Store;
  readonly log: Logger;
}

export async function openCheckouts({ settings, state, store, log }: Around): Promise<Checkouts> {
  const git = new Git({ searchPath: settings.path, home: settings.userHome, network: settings.buildNetwork });
  const mirrors = new Mirrors(git, state.file('pipelines/mirrors'));
  const checkout = new Checkout(mirrors);
  const workspaces = new Workspaces(checkout, state.file('pipelines/checkouts'));
  const { executions, events } = store;
  const folders = new SourceFolders({ workspaces, executions, events, clock: systemClock, log });
  await folders.start();
  return { mirrors, checkout, workspaces, folders };
}

export interface Triggers {
  readonly sources: Sources;
  readonly asked: AskedStarts;
  readonly poller: Poller;
  readonly keeper: TriggerKeeper;
}

/** The keeper has begun already. */
export function openTriggers(
  { store, log }: Around,
  { mirrors, workspaces, folders }: Checkouts,
  pipelines: Pipelines,
  holder: string,
): Triggers {
  const { triggers, events, executions, leases } = store;
  const clock = systemClock;
  const inbox = new TriggerInbox(triggers, clock, randomUUID);
  const poller = new Poller({ store: triggers, inbox, git: mirrors.git, clock, random: Math.random });
  const starts = { store: triggers, mirrors, folders, pipelines, describe, now: () => clock.now() };
  const keeper = new TriggerKeeper({
    store: triggers,
    leases,
    events,
    inbox,
    poller,
    follower: new StoreFollower({ store: triggers, inbox, events, executions }),
    actOn: (taken, signal) => actOn(starts, taken, signal),
    clock,
    log,
    holder,
    shares: store.engine === 'postgres',
  });
  keeper.start();
  const asked = new AskedStarts({ mirrors, folders, pipelines, newId: randomUUID });
  const parts = { store: triggers, inbox, mirrors, workspaces, describe, clock, newId: randomUUID };
  return { sources: new Sources(parts), asked, poller, keeper };
}

const describe: DescribeComponent = async (directory) => {
  const { component, base: written } = await describeFolder(directory);
  const [, base, channel] = /^([^@]+)@([^@]+)$/.exec(written ?? '') ?? [];
  if (base === undefined || channel === undefined) return { component };
  return { component, base: { component: base, channel } };
};
