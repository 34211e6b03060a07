/**
 * Deletes a snapshot at DigitalOcean, in all its regions at once.
 * Source: https://docs.digitalocean.com/reference/api/ (DELETE /v2/snapshots/{snapshot_id}: 204, 401, 404, 429, 500).
 */
import { KilnError } from '../../../domain/errors.ts';
import type { Artifact } from '../../../domain/image.ts';
import type { ArtifactRemoval } from '../../../domain/ports/artifact-removal.ts';

const API = 'https://api.digitalocean.com';
const ANSWER_LIMIT_MS = 30_000;

export interface SnapshotRemovalParts {
  /** As Packer gets it; without one nothing can be deleted, which is told. */
  readonly token: string | undefined;
  /** Where the API answers, when not where it always does. */
  readonly endpoint: string | undefined;
  readonly fetch: typeof fetch;
}

export function snapshotRemoval({ token, endpoint = API, fetch }: SnapshotRemovalParts): ArtifactRemoval {
  return {
    name: 'digitalocean',
    concerns: ({ provider }) => provider === 'digitalocean',
    remove: async (artifact, _component, signal) => {
      const id = snapshotOf(artifact);
      if (token === undefined) {
        throw new KilnError('target.rejected', `There is no token to delete the snapshot ${id} with.`, {
          next: 'Start the server with DIGITALOCEAN_TOKEN, as bakes there need it.',
        });
      }
      const url = new URL(`/v2/snapshots/${id}`, endpoint);
      const headers = { authorization: `Bearer ${token}` };
      const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_MS)]);
      const answer = await fetch(url, { method: 'DELETE', headers, redirect: 'error', signal: limit }).catch(
        (cause: unknown) => {
          signal.throwIfAborted();
          throw new KilnError('target.unavailable', `DigitalOcean does not answer at ${url.host}.`, {
            cause,
            next: 'See whether this machine reaches it.',
            retryable: true,
          });
        },
      );
      await answer.body?.cancel();
      // It is gone already: deleted by the artifact of another region, or by hand.
      if (answer.ok || answer.status === 404) return;
      throw new KilnError(
        'target.rejected',
        `DigitalOcean refused to delete the snapshot ${id}: HTTP ${answer.status}.`,
        {
          next: answer.status === 401 ? 'Give the server a token that may delete snapshots.' : 'Try again.',
          retryable: answer.status === 429 || answer.status >= 500,
        },
      );
    },
  };
}

function snapshotOf({ reference }: Artifact): string {
  if (reference !== undefined && /^\d+$/.test(reference)) return reference;
  throw new KilnError('input.invalid', `"${reference}" is no snapshot of DigitalOcean's.`, {
    next: 'Look for it there, and delete it there.',
  });
}
