/** Whoever can delete what is kept elsewhere of images that were swept. */
import { engineImageRemoval } from '../bakery/container/engine-image-removal.ts';
import { amiRemoval } from '../bakery/machine/amazon/ami-removal.ts';
import { Ec2 } from '../bakery/machine/amazon/ec2.ts';
import { snapshotRemoval } from '../bakery/machine/digitalocean/snapshot-removal.ts';
import type { EngineClient } from '../docker/engine-client.ts';
import type { ArtifactRemoval } from '../domain/ports/artifact-removal.ts';
import type { Store } from '../domain/ports/store.ts';
import { copyRemoval } from '../registry/copy-removal.ts';
import { credentialsFromFile } from '../registry/credentials.ts';
import type { Settings } from '../settings.ts';
import { systemClock } from './system-clock.ts';

/** What does not answer when the janitor comes has another chance at its next run. */
const PATIENCE_MS = 10_000;

export function artifactRemovals(
  { providers, registryLogins, plainHttpRegistries }: Settings,
  engine: EngineClient,
  store: Store,
): readonly ArtifactRemoval[] {
  const endpoint = providers.amazonEndpoint;
  return [
    amiRemoval(new Ec2({ access: providers, endpoint, clock: systemClock, fetch })),
    snapshotRemoval({
      token: providers.secrets.digitalocean_token,
      endpoint: providers.digitalOceanEndpoint,
      fetch,
    }),
    engineImageRemoval({
      client: engine,
      hasImages: async (component) => (await store.images.list({ component }, { limit: 1 })).items.length > 0,
    }),
    copyRemoval({
      credentials: credentialsFromFile(registryLogins),
      plainHttp: plainHttpRegistries,
      clock: systemClock,
      random: Math.random,
      patienceMs: PATIENCE_MS,
    }),
  ];
}
