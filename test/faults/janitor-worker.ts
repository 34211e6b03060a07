/**
 * A process that runs the janitor over a store and its blobs, with no notice and no threshold, and says `begun` and
 * `done`. Arguments: the store's settings as JSON, and the directory of the blobs.
 */
import { writeSync } from 'node:fs';
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { collectBlobs } from '../../src/bakery/litter.ts';
import { Janitor } from '../../src/catalog/janitor.ts';
import { DEFAULT_RETENTION } from '../../src/domain/retention.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { open } from '../contracts/store-subjects.ts';

const [settings = '', directory = ''] = process.argv.slice(2);
const store = await open(JSON.parse(settings));
const blobs = new FileBlobStore(directory);
const janitor = new Janitor({
  store,
  clock: systemClock,
  collectBlobs: async () => {
    writeSync(1, 'begun\n');
    return collectBlobs(blobs, { keep: new Set(await store.images.artifacts()), cached: new Set() });
  },
  removals: [],
  policy: { ...DEFAULT_RETENTION, unusedMs: 0, noticeWorkingDays: 0, share: 1 },
});
writeSync(1, 'begun\n');
const run = await janitor.run({ actor: 'janitor', dryRun: false }, new AbortController().signal);
writeSync(1, `done ${JSON.stringify(run)}\n`);
await store.close();
