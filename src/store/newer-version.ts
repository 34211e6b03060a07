import { KilnError } from '../domain/errors.ts';

/** The store was written by a newer Kiln: to write to it could destroy what this one does not know. */
export function newerVersion(found: number, known: number): KilnError {
  return new KilnError(
    'state.newer-version',
    `The store has schema version ${found}, written by a newer Kiln; this one knows versions up to ${known}.`,
    {
      next: 'Run the newer Kiln on this state, or restore a backup that this version made.',
      details: { found, known },
    },
  );
}
