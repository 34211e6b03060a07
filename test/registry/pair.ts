/** Two Kilns' bakeries, each with its own store and blobs, and transfers between them and a registry. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { credentialsFromFile } from '../../src/registry/credentials.ts';
import { KnownPlaces } from '../../src/registry/known-places.ts';
import { type Transfer, Transfers, type TransfersParts } from '../../src/registry/transfers.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { type Kitchen, kilnYaml, NEVER, openKitchen, scratch, writeTree } from '../e2e/bake-fixture.ts';

export interface Pair {
  readonly directory: string;
  readonly here: Kitchen;
  readonly there: Kitchen;
  /** A folder with `kiln.yaml` and so many files of random bytes, each in a layer of its own when it is large. */
  source(files: number, sizeBytes: number): Promise<string>;
  transfers(kitchen: Kitchen, more?: Partial<TransfersParts>): Transfers;
  /** What that Kiln knows after a restart. */
  places(kitchen: Kitchen): Promise<KnownPlaces>;
  close(): Promise<void>;
}

export async function openPair(): Promise<Pair> {
  const { directory, remove } = await scratch();
  const here = await openKitchen(path.join(directory, 'here'));
  const there = await openKitchen(path.join(directory, 'there'));
  const places = (kitchen: Kitchen) => KnownPlaces.open(path.join(kitchen.state, 'registry', 'places.json'));
  const known = new Map([
    [here, await places(here)],
    [there, await places(there)],
  ]);
  const opened: Transfers[] = [];
  let sources = 0;
  return {
    directory,
    here,
    there,
    async source(files, sizeBytes) {
      sources += 1;
      const folder = path.join(directory, `source-${sources}`);
      await writeTree(folder, { 'kiln.yaml': kilnYaml(), 'server.js': 'console.log(1)\n' });
      for (let n = 0; n < files; n += 1) {
        await mkdir(path.join(folder, `data${n}`));
        await writeFile(path.join(folder, `data${n}`, 'random.bin'), randomBytes(sizeBytes));
      }
      return folder;
    },
    places,
    transfers(kitchen, more = {}) {
      const transfers = new Transfers({
        store: kitchen.store,
        blobs: new FileBlobStore(path.join(kitchen.state, 'blobs')),
        clock: systemClock,
        credentials: credentialsFromFile(path.join(directory, 'no-logins.json')),
        plainHttp: [],
        places: known.get(kitchen) ?? shouldBeKnown(),
        attachmentsOf: async () => [],
        newId: randomUUID,
        random: () => 0.5,
        patienceMs: 30_000,
        ...more,
      });
      opened.push(transfers);
      return transfers;
    },
    async close() {
      for (const transfers of opened) await transfers.close();
      await here.close();
      await there.close();
      await remove();
    },
  };
}

function shouldBeKnown(): never {
  throw new Error('a kitchen of the pair');
}

export async function ended(transfers: Transfers, { id }: Transfer): Promise<Transfer> {
  for (;;) {
    const transfer = await transfers.wait(id, 60_000, NEVER);
    if (transfer.endedAtMs !== undefined) return transfer;
  }
}

/** Fails the test when it does not end well. */
export async function done(
  transfers: Transfers,
  begun: Transfer,
): Promise<Transfer & { readonly outcome: NonNullable<Transfer['outcome']> }> {
  const transfer = await ended(transfers, begun);
  if (transfer.outcome === undefined) throw transfer.failure;
  return { ...transfer, outcome: transfer.outcome };
}
