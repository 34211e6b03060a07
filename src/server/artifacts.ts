/** Where pipelines keep what they make, and whence and whither their Maps carry items. */
import { randomUUID } from 'node:crypto';
import { S3 } from '../amazon/s3.ts';
import { KilnError } from '../domain/errors.ts';
import type { ArtifactStore } from '../domain/ports/artifacts.ts';
import { LocalArtifacts } from '../pipeline/artifacts/local-artifacts.ts';
import { packFiles } from '../pipeline/artifacts/packed-files.ts';
import { S3Artifacts } from '../pipeline/artifacts/s3-artifacts.ts';
import { Places } from '../pipeline/executor/places.ts';
import { MapTransfers } from '../pipeline/items/map-transfers.ts';
import { readInThread } from '../pipeline/items/read-in-thread.ts';
import type { SourceHere } from '../pipeline/task.ts';
import type { S3Place, Settings } from '../settings.ts';
import type { StateDirectory } from './state-directory.ts';
import { systemClock } from './system-clock.ts';

/** Files of items at once: each has a thread. */
const READERS = 2;
const RESULTS_BYTES = 512 * 1024 * 1024;

export function openArtifacts(
  settings: Settings,
  state: Pick<StateDirectory, 'file'>,
  itemThread: string,
  sourceHere: SourceHere,
): { artifacts: ArtifactStore; transfers: MapTransfers } {
  const s3At = ({ region, endpoint }: S3Place) =>
    new S3({ access: settings.providers, region, endpoint, clock: systemClock, fetch });
  const bucket = settings.artifacts;
  const artifacts =
    bucket === undefined
      ? new LocalArtifacts(state.file('pipelines/artifacts'), randomUUID)
      : new S3Artifacts({
          ...bucket,
          s3: s3At(bucket),
          folder: state.file('pipelines/artifact-drafts'),
          newId: randomUUID,
        });
  const packing = { temporary: state.file('tmp'), searchPath: settings.path };
  const readers = new Places(READERS);
  const transfers = new MapTransfers({
    s3: s3At(settings.s3),
    sourceHere,
    readFile: (file, signal) => readers.within(0, signal, () => readInThread(itemThread, file, signal)),
    keep: async (files, signal) => {
      const kept = await artifacts.write(
        (descriptor) => packFiles(files, descriptor, packing, signal),
        RESULTS_BYTES,
        signal,
      );
      if (kept === undefined)
        throw new KilnError('input.too-large', `The results are larger than ${RESULTS_BYTES} bytes.`);
      return kept.digest;
    },
  });
  return { artifacts, transfers };
}
