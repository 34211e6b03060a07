/** What is known of images beside their bytes: their SBOMs, what scanners find, and copies in registries. */
import { randomUUID } from 'node:crypto';
import type { FileBlobStore } from '../bakery/blobs.ts';
import type { Store } from '../domain/ports/store.ts';
import { credentialsFromFile } from '../registry/credentials.ts';
import { KnownPlaces } from '../registry/known-places.ts';
import { Transfers } from '../registry/transfers.ts';
import { SBOM_TYPE } from '../scan/sbom/cyclonedx.ts';
import { Sboms } from '../scan/sbom/sboms.ts';
import { sweepScans } from '../scan/scanners/scanner.ts';
import { Scans } from '../scan/scans.ts';
import type { Unpack } from './build-bakery.ts';
import type { Building } from './building.ts';
import { systemClock } from './system-clock.ts';
import { unpackToScan } from './unpack-to-scan.ts';

const REGISTRY_PATIENCE_MS = 120_000;

export async function buildScans(
  { settings, state, closers }: Building,
  store: Store,
  { blobs, unpack }: { readonly blobs: FileBlobStore; readonly unpack: Unpack },
): Promise<{ readonly sboms: Sboms; readonly scans: Scans; readonly transfers: Transfers }> {
  const sboms = new Sboms(blobs, state.file('cache/sboms'));
  const scans = new Scans({
    store,
    sboms,
    clock: systemClock,
    ...settings.scan,
    host: {
      temporary: state.file('tmp'),
      searchPath: settings.path,
      bwrap: settings.bwrap,
      isRoot: process.getuid?.() === 0,
      unpack: unpackToScan(blobs, unpack),
      newId: randomUUID,
    },
    newId: randomUUID,
  });
  await sweepScans(state.file('tmp'));
  closers.push(() => scans.close());
  const transfers = new Transfers({
    store,
    blobs,
    clock: systemClock,
    credentials: credentialsFromFile(settings.registryLogins),
    plainHttp: settings.plainHttpRegistries,
    places: await KnownPlaces.open(state.file('registry/places.json')),
    attachmentsOf: async (image, signal) =>
      (await sboms.openable(image)) === undefined
        ? []
        : [{ type: SBOM_TYPE, text: await sboms.of(image, signal) }],
    newId: randomUUID,
    random: Math.random,
    patienceMs: REGISTRY_PATIENCE_MS,
  });
  closers.push(() => transfers.close());
  return { sboms, scans, transfers };
}
