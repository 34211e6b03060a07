/** Reads of the catalogue by name, so that they can be asked of another thread. */
import type { ImageQuery } from '../../domain/image-query.ts';
import type { Engine, Reader } from '../engine.ts';
import type { Found, SearchPage } from './found.ts';
import { search } from './search.ts';

export interface LongRead {
  readonly kind: 'search';
  readonly query: ImageQuery;
  readonly page: SearchPage;
}

export interface LongReadResults {
  search: Found;
}

export interface LongReads {
  run<Kind extends LongRead['kind']>(read: Extract<LongRead, { kind: Kind }>): Promise<LongReadResults[Kind]>;
  close(): Promise<void>;
}

export function performRead(db: Reader, read: LongRead): Promise<LongReadResults[LongRead['kind']]> {
  return search(db, read.query, read.page);
}

/** Where each read waits for the database and not for this process, or nobody else waits for it. */
export function ownReads(engine: Engine): LongReads {
  return {
    // Each read is answered with the result of its kind.
    run: (read) => engine.read((db) => performRead(db, read)) as Promise<never>,
    close: async () => undefined,
  };
}
