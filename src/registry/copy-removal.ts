/**
 * Takes what was pushed out of its registry again: the index, with every tag on it, and the record, which no other image
 * has. The artifacts' own manifests stay, since an image of another Kiln may stand on them; their bytes go with the
 * registry's own collection.
 */
import type { Artifact } from '../domain/image.ts';
import type { ArtifactRemoval } from '../domain/ports/artifact-removal.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { FindCredentials } from './credentials.ts';
import { parseRegistryReference } from './reference.ts';
import { Repository } from './repository.ts';
import { Session } from './session.ts';
import { parseIndex } from './shipment.ts';

export interface CopyRemovalParts {
  readonly credentials: FindCredentials;
  readonly plainHttp: readonly string[];
  readonly clock: Clock;
  /** Spreads retries; 0 ≤ n < 1. */
  readonly random: () => number;
  /** How long a registry may be away before it is left for the next run. */
  readonly patienceMs: number;
}

export function copyRemoval(parts: CopyRemovalParts): ArtifactRemoval {
  const { credentials, plainHttp, ...patience } = parts;
  return {
    name: 'registry',
    concerns: ({ provider }) => provider === 'registry',
    remove: async ({ reference = '' }: Artifact, _component, signal) => {
      const place = parseRegistryReference(reference, plainHttp);
      if (place.digest === undefined) return;
      const session = new Session(place, credentials);
      const { patienceMs: limitMs, clock, random } = patience;
      try {
        const repository = new Repository(session, { clock, random, limitMs });
        const index = await repository.manifest(place.digest, signal);
        // The index last: as long as it is there, it names the record.
        if (index === undefined) return;
        await repository.deleteManifest(parseIndex(index, reference).record, signal);
        await repository.deleteManifest(index.digest, signal);
      } finally {
        session.close();
      }
    },
  };
}
